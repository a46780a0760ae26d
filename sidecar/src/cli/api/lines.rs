//! Answers of many lines, each of them JSON: printed as they come, however many they are.

use super::Ready;
use super::call::Caller;
use crate::cli::Exit;
use crate::cli::output::Output;
use crate::cli::shown::safe_json;

/// Prints the lines of the answer. Those that came before it broke off are printed, too, and the command fails.
pub(super) async fn print(caller: &Caller<'_>, ready: &Ready<'_>, output: &Output) -> Result<(), Exit> {
    let mut lines = Lines::default();
    let mut print = |piece: &[u8]| output.raw(&lines.take(piece));
    caller.stream(ready, &mut print).await?;
    output.raw(&lines.rest());
    Ok(())
}

/// What was read of a line that has not come to its end.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that come to their end with `piece`.
    fn take(&mut self, piece: &[u8]) -> String {
        let end = piece.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (ends, begins) = piece.split_at(end);
        if end == 0 {
            self.begun.extend_from_slice(begins);
            return String::new();
        }
        let mut whole = std::mem::replace(&mut self.begun, begins.to_vec());
        whole.extend_from_slice(ends);
        safe_json(&String::from_utf8_lossy(&whole))
    }

    /// The last line, if nothing ended it.
    fn rest(&mut self) -> String {
        safe_json(&String::from_utf8_lossy(&std::mem::take(&mut self.begun)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_wherever_the_answer_is_cut() {
        let text = "{\"a\":\"é\"}\n{\"b\":1}\n\n{\"c\":\"名\"}";
        for cut in 0..=text.len() {
            let (one, other) = text.as_bytes().split_at(cut);
            let mut lines = Lines::default();
            let told = [lines.take(one), lines.take(other), lines.rest()];
            assert_eq!(told.concat(), text, "cut at {cut}");
            assert!(told[0].is_empty() || told[0].ends_with('\n'), "{told:?}");
        }
    }
}
