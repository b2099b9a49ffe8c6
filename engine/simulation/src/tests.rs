use super::*;

#[test]
fn what_must_never_happen_never_does() {
    let counts = simulate(0, std::option_env!("N").map_or(40, |n| n.parse().unwrap()))
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{counts}");
}
