//! What readers of Microsoft's products share: builds and names of Windows.

use patchwave_core::observe::WindowsEdition;

/// A build of Windows with its revision: four numbers, `10.0.20348.2700`; none for anything else.
pub(crate) fn build_of(text: &str) -> Option<&str> {
    let text = text.trim();
    let number = |part: &str| (1..=10).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (text.split('.').count() == 4 && text.split('.').all(number)).then_some(text)
}

/// The release that a product name of Windows says: `2022` of `Windows Server 2022 Standard`, `2012 R2`, `11` of
/// `Windows 11 Version 23H2 for x64-based Systems`; none if the product is no release of Windows. Products that only
/// carry the name (Windows Defender, Windows Admin Center, .NET on Windows) are none.
pub(crate) fn release_of(product: &str) -> Option<String> {
    let product = product.trim();
    let product = product.strip_prefix("Microsoft ").unwrap_or(product);
    let mut words = product
        .strip_prefix("Windows ")?
        .split([' ', ','])
        .filter(|word| !word.is_empty());
    let first = words.next()?;
    let (word, server) = match first {
        "Server" => (words.next()?, true),
        word => (word, false),
    };
    let release = match word {
        // `Windows Server, version 20H2`, `Windows Server, version 1909 (Server Core installation)`.
        "version" if server => words.next()?,
        "7" | "8" | "8.1" | "10" | "11" | "Vista" if !server => word,
        "RT" if !server => "RT",
        year if server && year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()) => year,
        _ => return None,
    };
    Some(match words.next() {
        Some("R2") => format!("{release} R2"),
        _ => release.to_owned(),
    })
}

/// Whether a product name is a Windows Server or a client; none if it is no release of Windows.
pub(crate) fn edition_of(product: &str) -> Option<WindowsEdition> {
    release_of(product)?;
    let product = product.trim();
    let product = product.strip_prefix("Microsoft ").unwrap_or(product);
    Some(match product.starts_with("Windows Server") {
        true => WindowsEdition::Server,
        false => WindowsEdition::Client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_have_four_numbers() {
        assert_eq!(build_of(" 10.0.20348.2700 "), Some("10.0.20348.2700"));
        for other in [
            "",
            "10.0.20348",
            "10.0.14393.X",
            "1.2.3.4.5",
            "https://a.b.c.d",
            "10.0.1.-1",
            "10.0.1.99999999999",
        ] {
            assert_eq!(build_of(other), None, "{other}");
        }
    }

    #[test]
    fn releases_are_told_from_products_that_only_carry_the_name() {
        for (product, release) in [
            ("Windows Server 2022 (Server Core installation)", Some("2022")),
            ("Microsoft Windows Server 2012 R2 Standard", Some("2012 R2")),
            (
                "Windows Server 2008 R2 for x64-based Systems Service Pack 1",
                Some("2008 R2"),
            ),
            ("Windows Server, version 20H2 (Server Core Installation)", Some("20H2")),
            ("Windows 11 Version 23H2 for x64-based Systems", Some("11")),
            ("Windows 10 for 32-bit Systems", Some("10")),
            ("Windows RT 8.1", Some("RT")),
            ("Windows Defender Antimalware Platform", None),
            ("Windows Admin Center", None),
            ("Windows Server Backup", None),
            ("Microsoft .NET Framework 4.8 on Windows Server 2022", None),
            ("Windows", None),
        ] {
            assert_eq!(release_of(product).as_deref(), release, "{product}");
            let server = release.map(|_| product.contains("Server"));
            let edition = edition_of(product).map(|edition| edition == WindowsEdition::Server);
            assert_eq!(edition, server, "{product}");
        }
    }
}
