"""The denoisers of photographs that lie in models/: data, training, figures and card; scripts/models.sh runs it."""
