//! The crate map.
