//! Planted secrets: every secret of a test holds `planted` and sixteen hexadecimal digits, so that one look finds all of them
//! wherever they must not be. `.ci/planted.py` looks at what is left when the tests are over.

use std::path::Path;

const WORD: &[u8] = b"planted";
const DIGITS: usize = 16;
/// The secret of the one signature that GitHub documents, which tests of webhooks use.
const DOCUMENTED: &[u8] = b"It's a Secret to Everybody";
/// The word in base64, at each of the three places where it may begin, without the characters it shares with its neighbours.
const CODED: [&[u8]; 3] = [b"cGxhbnRlZ", b"BsYW50ZW", b"wbGFudGVk"];
/// Where a test keeps secrets on purpose.
const KEPT: &str = ".secrets";

/// Whether bytes hold a planted secret, as it is or as basic authentication sends it.
pub fn is_in(bytes: &[u8]) -> bool {
    let follows = |at: usize| {
        let digits = bytes.get(at + WORD.len()..at + WORD.len() + DIGITS);
        digits.is_some_and(|d| d.iter().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(c)))
    };
    let plain = (0..bytes.len()).any(|at| bytes[at..].starts_with(WORD) && follows(at));
    let holds = |form: &[u8]| bytes.windows(form.len()).any(|w| w == form);
    plain || holds(DOCUMENTED) || CODED.iter().any(|form| holds(form))
}

/// The places below a folder that hold a planted secret: files, and objects of Git repositories, which are packed.
pub fn places(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        if at.join("objects").is_dir() && at.join("HEAD").is_file() {
            found.extend(objects(&at));
        }
        for entry in std::fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && entry.file_name() != KEPT {
                open.push(path);
            } else if kind.is_file() && std::fs::read(&path).is_ok_and(|bytes| is_in(&bytes)) {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn objects(git: &Path) -> Vec<String> {
    let Ok(odb) = git2::Odb::new() else {
        return Vec::new();
    };
    odb.add_disk_alternate(&git.join("objects").display().to_string())
        .unwrap();
    let mut found = Vec::new();
    let _ = odb.foreach(|id| {
        if odb.read(*id).is_ok_and(|object| is_in(object.data())) {
            found.push(format!("{} {id}", git.display()));
        }
        true
    });
    found
}

#[test]
fn a_planted_secret_is_found_wherever_it_is() {
    use base64::Engine as _;

    let value = format!("{}0123456789abcdef", "planted");
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let forms = [
        value.clone(),
        base64(&value),
        base64(&format!("u:{value}")),
        base64(&format!("us{value}")),
    ];
    for form in forms {
        assert!(is_in(format!("before {form} after").as_bytes()), "{form}");
    }
    assert!(!is_in(b"planted 0123456789abcdef, planted0123"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(KEPT)).unwrap();
    std::fs::write(folder.path().join(KEPT).join("token"), &value).unwrap();
    let repository = git2::Repository::init(folder.path()).unwrap();
    assert_eq!(places(folder.path()), Vec::<String>::new());
    std::fs::write(folder.path().join("log"), &value).unwrap();
    repository.blob(value.repeat(9).as_bytes()).unwrap();
    let found = places(folder.path());
    assert_eq!(found.len(), 2, "{found:?}");
}
