"""What convae does to pages of text, beside what people use today; scripts/show.sh runs it.

Three experiments (noise, super-resolution, inpainting) on pages that no training saw, and the speed
of `apply` on thousands of images.
"""
