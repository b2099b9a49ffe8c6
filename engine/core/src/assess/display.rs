//! Explanations as text, for a terminal.

use std::fmt;

use super::explain::{FindingTrace, Trace};
use super::trace::Step;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, fact, at } = self;
        write!(f, "{what:<11} {fact}")?;
        if at.is_empty() { Ok(()) } else { write!(f, "  [{at}]") }
    }
}

impl fmt::Display for FindingTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arch = if self.arch.is_empty() {
            String::new()
        } else {
            format!(".{}", self.arch)
        };
        let fixed = self.fixed.as_deref().unwrap_or("no fix");
        writeln!(
            f,
            "{} {}{arch} {} → {fixed}",
            self.advisory, self.package, self.installed
        )?;
        match (self.status, self.timeliness) {
            (Some(status), Some(timeliness)) => {
                write!(f, "  {status}, {}", timeliness.as_str())?;
                match self.deadline {
                    Some(deadline) => write!(f, ", deadline {deadline}")?,
                    None => f.write_str(", no deadline")?,
                }
                let lane = self.lane.map_or("", |lane| lane.as_str());
                let decision = self.decision.map_or("", |decision| decision.as_str());
                writeln!(f, ", lane {lane}, decision {decision}")?;
            }
            _ => writeln!(f, "  no finding")?,
        }
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at {}", self.asset, self.now)?;
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        for finding in &self.findings {
            write!(f, "\n{finding}")?;
        }
        Ok(())
    }
}
