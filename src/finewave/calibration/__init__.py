"""What a result and its errors are set right by: spectra measured on the ground, residuals of scenes held out."""
