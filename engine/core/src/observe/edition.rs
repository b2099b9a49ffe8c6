//! Whether a Windows is a client or a server: some builds are both, and their fixes are not the same.

/// The kind of Windows a build runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowsEdition {
    /// Windows 10, 11 and their predecessors.
    Client,
    /// Windows Server.
    Server,
}

/// Branches that Microsoft ships as a client and as a server, from Windows 7 and Server 2008 R2 on: release health of Windows
/// (<https://learn.microsoft.com/windows/release-health/release-information>, `windows11-release-information`,
/// `windows-server-release-info`). One that is missing here is compared without its edition, and both take the newer build.
const SHARED_BRANCHES: &[&str] = &[
    "6.1.7601",
    "6.2.9200",
    "6.3.9600",
    "10.0.10240",
    "10.0.14393",
    "10.0.17763",
    "10.0.26100",
];

impl WindowsEdition {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Client, Self::Server];

    /// The edition a release says, as [`super::Os::version`] has it: `11` is a client, `2025` and `2012 R2` are servers; none
    /// for what could be either (`23H2`, a build) or is not known.
    pub fn of_release(version: &str) -> Option<Self> {
        let first = version.split(' ').next().unwrap_or_default();
        match first {
            "Vista" | "7" | "8" | "8.1" | "RT" | "10" | "11" => Some(Self::Client),
            year if year.len() == 4 && year.starts_with("20") && year.bytes().all(|b| b.is_ascii_digit()) => {
                Some(Self::Server)
            }
            _ => None,
        }
    }

    /// `client` or `server`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Whether a branch of builds ([`super::build_branch`]) is both a client and a server.
pub fn is_shared_branch(branch: &str) -> bool {
    SHARED_BRANCHES.contains(&branch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_tell_their_edition() {
        let of = |version| WindowsEdition::of_release(version).map(WindowsEdition::as_str);
        for (version, edition) in [
            ("11", Some("client")),
            ("8.1", Some("client")),
            ("RT 8.1", Some("client")),
            ("2025", Some("server")),
            ("2012 R2", Some("server")),
            ("23H2", None),
            ("10.0.26100", None),
            ("", None),
        ] {
            assert_eq!(of(version), edition, "{version}");
        }
    }
}
