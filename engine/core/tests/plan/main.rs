//! What a plan must be: its cuts, order, refusals and restraint, properties of all of them, and a brute-force oracle.

mod able;
mod attacked;
mod compare;
mod compatible;
mod cut;
mod dialect;
mod feasible;
mod forensics;
mod hosts;
mod kinds;
mod oracle;
mod oracle_model;
mod order;
mod properties;
mod refusals;
mod report;
mod restraint;
mod support;
