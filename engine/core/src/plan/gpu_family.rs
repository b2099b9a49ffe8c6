//! Which architecture a GPU is of, by the name its driver gives it.
//!
//! Source: NVIDIA, "CUDA GPU Compute Capability", <https://developer.nvidia.com/cuda-gpus>, and the compute capabilities of
//! the architectures in the CUDA C++ Programming Guide.

/// Words of device names, by architecture.
const FAMILIES: [(&str, &[&str]); 8] = [
    ("kepler", &["k20", "k40", "k80"]),
    ("maxwell", &["m4", "m40", "m60", "m10"]),
    ("pascal", &["p100", "p40", "p4", "p6"]),
    ("volta", &["v100", "v100s"]),
    ("turing", &["t4", "t4g", "t40", "rtx6000", "rtx8000"]),
    (
        "ampere",
        &[
            "a100", "a100x", "a800", "a30", "a30x", "a40", "a10", "a10g", "a10m", "a16", "a2", "a4000", "a5000",
            "a6000",
        ],
    ),
    ("ada", &["l4", "l40", "l40s", "l40g", "l2", "l20", "ada"]),
    ("hopper", &["h100", "h200", "h800", "h20", "gh200"]),
];
/// Words of the newest architecture.
const BLACKWELL: [&str; 7] = ["b100", "b200", "b300", "gb200", "gb300", "blackwell", "gb10"];

/// Whether a device is meant by `word`: a family (`hopper`), or a word of its name (`h100`). `ada` and `lovelace` are one.
pub(super) fn is_of_family(device: &str, word: &str) -> bool {
    let word = word.to_lowercase();
    let word = if matches!(word.as_str(), "lovelace" | "ada-lovelace") {
        "ada"
    } else {
        &word
    };
    let device = device.to_lowercase();
    let mut parts = device.split(|c: char| !c.is_ascii_alphanumeric());
    parts.any(|part| part == word) || family(&device) == Some(word)
}

/// The family of a device name in lower case. A later generation says so in a word of its own (`RTX 6000 Ada Generation`),
/// so the newest one that is named counts.
fn family(device: &str) -> Option<&'static str> {
    let parts: Vec<&str> = device.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let named = |words: &[&str]| parts.iter().any(|part| words.contains(part));
    if named(&BLACKWELL) {
        return Some("blackwell");
    }
    let known = FAMILIES.iter().rev().find(|(_, words)| named(words));
    known.map(|(family, _)| *family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_of_their_architecture() {
        for (device, family) in [
            ("NVIDIA H100 80GB HBM3", "hopper"),
            ("NVIDIA A100-SXM4-40GB", "ampere"),
            ("Tesla V100-PCIE-16GB", "volta"),
            ("Tesla T4", "turing"),
            ("NVIDIA L40S", "ada"),
            ("NVIDIA RTX 6000 Ada Generation", "lovelace"),
            ("NVIDIA B200", "Blackwell"),
            ("NVIDIA H100 80GB HBM3", "H100"),
            ("hopper", "hopper"),
        ] {
            assert!(is_of_family(device, family), "{device} {family}");
        }
        assert!(!is_of_family("NVIDIA H100 80GB HBM3", "ampere"));
        assert!(!is_of_family("Some new card", "hopper"));
    }
}
