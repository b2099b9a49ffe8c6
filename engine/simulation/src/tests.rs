use super::*;

#[test]
fn what_must_never_happen_never_does() {
    let counts = simulate(0, 12).unwrap_or_else(|failure| panic!("{failure}"));
    println!("{counts}");
}
