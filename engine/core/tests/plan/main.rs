//! What a plan must be: its cuts, order, refusals and restraint, properties of all of them, and a brute-force oracle.

mod compare;
mod cut;
mod dialect;
mod oracle;
mod oracle_model;
mod order;
mod properties;
mod refusals;
mod restraint;
mod support;
