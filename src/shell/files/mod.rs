//! Keys, certificates, configuration, peer file.
