//! Tables as text: a line of names, then a line for each sample, its numbers with commas between. Nothing is
//! guessed: another number of columns, or a word, is refused by its line.

use std::io::BufRead;

use super::npy::Refusal;
use super::stored::Pixels;

/// Letters of a cell that are shown.
const SHOWN: usize = 30;

/// Reads a table: `[samples, columns]`, and its values.
pub(super) fn read(file: impl BufRead) -> Result<(Vec<usize>, Pixels), Refusal> {
    let mut lines = file.lines().enumerate().map(|(number, line)| {
        let failed = |error| Refusal::Damaged(format!("cannot be read ({error})"));
        Ok::<_, Refusal>((number + 1, line.map_err(failed)?))
    });
    let (_, names) = lines.next().ok_or_else(|| unfit("is empty".to_owned()))??;
    let columns = names.split(',').count();
    if names.split(',').all(|name| name.trim().parse::<f32>().is_ok()) {
        return Err(unfit("has numbers in its first line, and no names".to_owned()));
    }
    let (mut values, mut samples) = (Vec::new(), 0);
    for line in lines {
        let (number, line) = line?;
        if line.trim().is_empty() {
            continue;
        }
        let before = values.len();
        for cell in line.split(',') {
            values.push(value(cell.trim(), number)?);
        }
        let found = values.len() - before;
        if found != columns {
            let problem = format!("has {columns} names, and {found} values in line {number}");
            return Err(unfit(problem));
        }
        samples += 1;
    }
    Ok((vec![samples, columns], Pixels::Float(values)))
}

fn value(cell: &str, line: usize) -> Result<f32, Refusal> {
    cell.parse().ok().filter(|value: &f32| value.is_finite()).ok_or_else(|| {
        let shown: String = cell.chars().take(SHOWN).collect();
        unfit(format!("has {shown:?} in line {line}, which is no number"))
    })
}

fn unfit(problem: String) -> Refusal {
    Refusal::Unfit(
        problem,
        "give a line of names, then a line of numbers with commas for each sample",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_sample_and_the_first_one_has_the_names() {
        let read = read("a,b , c\r\n1,-2.5,3e1\n\n 4 ,5,6".as_bytes());
        let values = vec![1.0, -2.5, 30.0, 4.0, 5.0, 6.0];
        assert_eq!(read, Ok((vec![2, 3], Pixels::Float(values))));
        assert_eq!(super::read("a,b\n".as_bytes()), Ok((vec![0, 2], Pixels::Float(vec![]))));
    }

    #[test]
    fn what_is_no_table_of_numbers_is_refused_by_its_line() {
        for (text, words) in [
            ("", "is empty"),
            ("1,2\n3,4", "numbers in its first line"),
            ("a,b\n1,2\n1", "has 2 names, and 1 values in line 3"),
            ("a,b\n1,2,3", "has 2 names, and 3 values in line 2"),
            ("a\nx", "has \"x\" in line 2"),
            ("a\n\nnan", "has \"nan\" in line 3"),
            ("a,b\n1,", "has \"\" in line 2"),
        ] {
            let Err(Refusal::Unfit(problem, _)) = read(text.as_bytes()) else { panic!("{text:?}") };
            assert!(problem.contains(words), "{problem} lacks {words}");
        }
        assert!(matches!(read(&b"a\n\xff"[..]), Err(Refusal::Damaged(_))));
    }
}
