//! ZeroMQ: one context a node, CURVE, ZAP, sockets, signal pairs, monitors.
