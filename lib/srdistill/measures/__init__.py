"""What is measured of pictures: PSNR, SSIM, LPIPS, and how much of their detail bicubic does not bring back."""
