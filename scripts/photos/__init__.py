"""Denoisers of photographs, trained with and without clean images; scripts/photos.sh runs it."""
