"""From many pictures to few: one method, one file, one public function.

A method is a function ``(real: Pictures, *, ipc, size, generator, ...) -> DistilledSet``: HR pictures in, ``ipc``
synthetic HR images of ``size`` x ``size`` pixels per picture out; or ``count`` of them from all pictures together. There
is no base class and no registry; a function of your own is as good as one from here. Its draws come from
``generator.initial_seed()`` through ``seeds.generator_for``.
"""
