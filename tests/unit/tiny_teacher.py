"""A classifier of a few thousand weights and photograph crops as classes, for tests of what asks a teacher."""

import torch
from torch import Tensor, nn

from srdistill.networks.classifiers import IMAGENET_MEAN, IMAGENET_STD

SIZE, NAMES = 32, ("astronaut", "flower", "motorcycle_left")


class TinyTeacher(nn.Module):
    """Normalises, then two convolutions with BatchNorm, global pooling and a linear head."""

    def __init__(self, classes: int = 3, seed: int = 0):
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.head = nn.Linear(16, classes)
        draws = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                if weight.ndim > 1:
                    weight.copy_(torch.randn(weight.shape, generator=draws) * (2 / weight[0].numel()) ** 0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body((images - self.mean) / self.std).mean((2, 3)))


def photo_classes(photos, count: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """``count`` crops of 32 px of each of three photographs, uint8, in turn, and the photograph as the label."""
    draws, known, images = torch.Generator().manual_seed(seed), dict(photos), []
    for _ in range(count):
        for name in NAMES:
            image = known[name][:, ::2, ::2]
            y, x = (int(torch.randint(side - SIZE, (), generator=draws)) for side in image.shape[1:])
            images.append(image[:, y : y + SIZE, x : x + SIZE])
    return torch.stack(images), torch.arange(count * len(NAMES)) % len(NAMES)


def trained_teacher(images: Tensor, labels: Tensor, steps: int = 60) -> TinyTeacher:
    """Fitted in a fraction of a second."""
    teacher = TinyTeacher().train()
    optimizer = torch.optim.AdamW(teacher.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(teacher(images / 255.0), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return teacher.eval().requires_grad_(False)
