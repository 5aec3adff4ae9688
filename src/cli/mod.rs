//! What the programs share: sub-commands, output for people and JSON.
