"""What choosing works with: tiles, points that stand for them, and ways to choose among points.

``tile_budget``, ``trimming``   how many tiles a budget buys; which are too flat or too odd
``tile_embedding``     tiles as points: ``spectrum_embedding``, ``gradient_embedding``
``sobel``              the texture of a tile
``facility_location``, ``herding``   few points that stand for many; few points with the mean of many
"""
