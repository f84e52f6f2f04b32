"""Baselines that lead a student along the way of an expert: MTT, TESLA and DATM.

``experts``, ``flat_network``, ``steps``   networks trained on all pictures, their weights as one vector, as tasks
``trajectory_matching``, ``trajectory_gradient``   what is matched, how, and by which gradient
``expert_labels``   DATM's start and label logits
``unrolling``   how far TESLA's gradient is from the exact one
"""
