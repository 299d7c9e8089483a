//! A stand-in pipeline.
