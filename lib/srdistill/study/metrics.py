"""What is measured, and how it is shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """``title``: in tables. ``axis``: in plots. ``decimals``: of a number of it. ``lower_is_better``: of two."""

    name: str
    title: str
    axis: str
    decimals: int = 4
    lower_is_better: bool = False


# The share of the way from bicubic to full data.
GAIN = "recovered_gain"
METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr", "PSNR", "PSNR, dB", 2),
        Metric("psnr_y", "PSNR-Y", "PSNR of luma, dB", 2),
        Metric("ssim", "SSIM", "SSIM"),
        Metric("ssim_y", "SSIM-Y", "SSIM of luma"),
        # Ours carry their backbone in the name; the printed LPIPS does not say its own (most likely VGG), so the two never
        # meet.
        Metric("lpips", "LPIPS", "LPIPS (lower is better)", lower_is_better=True),
        Metric("lpips_alex", "LPIPS-alex", "LPIPS (lower is better)", lower_is_better=True),
        Metric("lpips_vgg", "LPIPS-vgg", "LPIPS (lower is better)", lower_is_better=True),
        Metric("lpips_squeeze", "LPIPS-squeeze", "LPIPS (lower is better)", lower_is_better=True),
        Metric(GAIN, "gain %", "recovered gain, %", 0),
        Metric("accuracy", "top-1 %", "top-1 accuracy, %", 1),
        Metric("best_accuracy", "best top-1 %", "best top-1 accuracy, %", 1),
        Metric("seconds_per_epoch", "s per epoch", "seconds per epoch", 2, True),
    )
}


def number(value: float, metric: str) -> str:
    """A number as tables show it."""
    return f"{value:.{METRICS[metric].decimals if metric in METRICS else 4}f}"
