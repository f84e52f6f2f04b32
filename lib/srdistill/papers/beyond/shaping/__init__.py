"""Sets whose pictures are changed.

``shaped``, ``radial_filter``, ``filtered``   whole pictures, shrunk; the spectrum as a setting
``refined``            a part of a set moved: ``cosine_transform``, ``set_gradients``
``taught``             labels of a larger student
"""
