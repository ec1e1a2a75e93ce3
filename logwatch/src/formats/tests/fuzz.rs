//! Fuzz target of heads, levels and times of lines.

use shipshape_fuzzing::fuzz;

use super::*;

#[test]
fn the_short_ways_say_what_the_full_order_says_of_any_line() {
    let lines = known_lines();
    let seeds: Vec<&[u8]> = lines.iter().step_by(7).map(Vec::as_slice).collect();
    fuzz(&seeds, |line| {
        look_at(line);
        if !line.contains(&b'\n') {
            assert_eq!(head(line), in_full_order(line));
        }
    });
}
