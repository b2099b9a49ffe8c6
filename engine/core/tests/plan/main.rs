//! What a plan must be: its cuts, order, refusals and restraint, properties of all of them, and a brute-force oracle.

mod cut;
mod dialect;
mod forensics;
mod oracle;
mod order;
mod properties;
mod refusals;
mod restraint;
mod support;
