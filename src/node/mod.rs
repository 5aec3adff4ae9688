//! Builds machines and shells, joins them with bounded channels, starts and stops them.
