//! Picture-age accounting (docs/MEASUREMENTS.md): how old the newest picture on screen is.
