//! Which of several processes this one is, as whoever started it says in the environment: torchrun, Slurm, or a hand.

use super::Share;
use super::group::Address;
use crate::system::exit::UsageError;

/// As many as anybody has started so far, by far: a count beyond it is a slip.
const MOST: usize = 1 << 16;

/// One of several processes, and where they meet.
#[derive(Debug, Clone)]
pub struct Place {
    /// Counts from 0; rank 0 writes and talks.
    pub rank: usize,
    /// Of all processes.
    pub size: usize,
    /// Its number among those on this machine.
    pub local_rank: usize,
    /// Those on this machine, which share its cores.
    pub local_size: usize,
    pub(super) address: Address,
    /// Whether somebody else serves the store, as torchrun does; else rank 0 does.
    pub(super) is_served: bool,
}

/// Which of several processes this one is, where they need not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apart {
    /// What it takes of what all do.
    pub share: Share,
    /// Its number among those on this machine.
    pub local_rank: usize,
    /// Those on this machine, which share its cores.
    pub local_size: usize,
}

impl Apart {
    /// What the environment says; `None` for a process that is alone, or where it gives no whole answer.
    #[must_use]
    pub fn of_environment() -> Option<Self> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| get(name)?.trim().parse::<usize>().ok();
        let [rank, size, local_rank, local_size] = [TORCHRUN, SLURM]
            .into_iter()
            .find(|[rank, size, ..]| number(rank).is_some() && number(size).is_some())?;
        let share = Share { rank: number(rank)?, of: number(size)? };
        let is_one_of_several = share.of > 1 && share.rank < share.of;
        is_one_of_several.then(|| Self {
            share,
            local_rank: number(local_rank).unwrap_or(0),
            local_size: number(local_size).unwrap_or(1),
        })
    }
}

/// Variables with a rank, the number of ranks, and both of one machine.
const TORCHRUN: [&str; 4] = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"];
/// Of srun's step: a batch script, which is one process, has the job's alone. Tasks are bound to their cores by Slurm.
const SLURM: [&str; 4] = ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", ""];

impl Place {
    /// What the environment says; `None` for a process that is alone.
    ///
    /// # Errors
    /// Names a variable that is missing, or no such number.
    pub fn of_environment() -> Result<Option<Self>, UsageError> {
        Self::read(|name| std::env::var(name).ok())
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, UsageError> {
        let has = |name: &str| get(name).is_some();
        let meets = has("MASTER_ADDR") || has("MASTER_PORT");
        let names = if has("RANK") || has("WORLD_SIZE") {
            TORCHRUN
        } else if has("SLURM_PROCID") && has("SLURM_STEP_NUM_TASKS") && meets {
            SLURM
        } else {
            return without_a_meeting(&get).map(|()| None);
        };
        let [rank, size] = [(names[0], 0), (names[1], 1)].map(|(name, least)| {
            let other = if name == names[0] { names[1] } else { names[0] };
            let text = get(name).ok_or_else(|| {
                UsageError(format!("{other} is set, and {name} is not; set both, or neither"))
            })?;
            number(name, &text, least, MOST)
        });
        let (rank, size) = (rank?, size?);
        if rank >= size {
            let [rank_name, size_name, ..] = names;
            return Err(UsageError(format!(
                "{rank_name} is {rank} and {size_name} is {size}; ranks go from 0 to {}",
                size - 1
            )));
        }
        if size == 1 {
            return Ok(None);
        }
        let host = get("MASTER_ADDR")
            .filter(|host| !host.is_empty())
            .ok_or_else(|| missing("MASTER_ADDR", size))?;
        let port = get("MASTER_PORT").ok_or_else(|| missing("MASTER_PORT", size))?;
        let port = number("MASTER_PORT", &port, 1, usize::from(u16::MAX))? as u16;
        let or = |name: &str, least, otherwise| match get(name) {
            Some(text) => number(name, &text, least, MOST),
            None => Ok(otherwise),
        };
        // Slurm binds each task to its cores, which is what the system then says there are.
        let (local_rank, local_size) = (or(names[2], 0, 0)?, or(names[3], 1, 1)?);
        let attempt = get("TORCHELASTIC_RESTART_COUNT").unwrap_or_default();
        let is_served = get("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|said| said == "True");
        let address = Address { host, port, prefix: format!("convae/{attempt}") };
        Ok(Some(Self { rank, size, local_rank, local_size, address, is_served }))
    }

    /// Of processes on this machine alone, which meet at a port of it; one is enough.
    #[must_use]
    pub fn local(rank: usize, size: usize, port: u16) -> Self {
        let address = Address { host: "127.0.0.1".to_owned(), port, prefix: String::new() };
        Self { rank, size, local_rank: rank, local_size: size, address, is_served: false }
    }

    /// What it takes of what all do.
    #[must_use]
    pub fn share(&self) -> Share {
        Share { rank: self.rank, of: self.size }
    }

    /// The same for one of several works that meet at the same place, one after the other.
    #[must_use]
    pub fn for_work(mut self, what: &str) -> Self {
        self.address.prefix = format!("{}/{what}", self.address.prefix);
        self
    }

    /// Where all meet, for people.
    #[must_use]
    pub fn meeting(&self) -> String {
        let Address { host, port, .. } = &self.address;
        format!("{host}:{port}")
    }

    /// Whether all are on one machine.
    pub(super) fn is_local(&self) -> bool {
        ["127.0.0.1", "localhost", "::1"].contains(&self.address.host.as_str())
    }
}

/// Of srun's many tasks, which would all train the same.
fn without_a_meeting(get: &impl Fn(&str) -> Option<String>) -> Result<(), UsageError> {
    let tasks = get("SLURM_STEP_NUM_TASKS").and_then(|text| text.parse::<usize>().ok());
    match tasks {
        Some(tasks) if tasks > 1 => Err(missing("MASTER_ADDR", tasks)),
        _ => Ok(()),
    }
}

fn missing(name: &str, size: usize) -> UsageError {
    let what =
        if name == "MASTER_ADDR" { "the name of rank 0's machine" } else { "a free port there" };
    UsageError(format!(
        "{size} processes are to train together, and {name} is not set; set it to {what}, or train alone with \
         --processes 1"
    ))
}

fn number(name: &str, text: &str, least: usize, most: usize) -> Result<usize, UsageError> {
    match text.trim().parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(UsageError(format!(
            "{name} is {text:?} in the environment; it has to be a whole number from {least} to {most}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Place>, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Place::read(get).map_err(|UsageError(sentence)| sentence)
    }

    const MEETING: [(&str, &str); 2] = [("MASTER_ADDR", "one"), ("MASTER_PORT", "29500")];

    #[test]
    fn torchrun_and_slurm_are_understood() {
        let torchrun =
            [("RANK", "2"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "2")];
        let agent = [("TORCHELASTIC_USE_AGENT_STORE", "True"), ("TORCHELASTIC_RESTART_COUNT", "1")];
        let place = read(&[&torchrun[..], &MEETING, &agent].concat()).unwrap().unwrap();
        assert_eq!((place.rank, place.size, place.local_rank, place.local_size), (2, 4, 0, 2));
        assert_eq!((place.meeting().as_str(), place.is_served), ("one:29500", true));
        assert_eq!(place.address.prefix, "convae/1");

        let slurm = [("SLURM_PROCID", "3"), ("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_LOCALID", "1")];
        let place = read(&[&slurm[..], &MEETING].concat()).unwrap().unwrap();
        assert_eq!((place.rank, place.size, place.local_rank, place.local_size), (3, 8, 1, 1));
        assert!(!place.is_served);
    }

    #[test]
    fn a_process_is_alone_where_nothing_else_is_said() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap().is_none());
        assert!(
            read(&[&[("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "1")], &MEETING[..]].concat())
                .unwrap()
                .is_none()
        );
        // Within a batch script, which is one process of a job of many.
        let script = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8")];
        assert!(read(&[&script[..], &MEETING].concat()).unwrap().is_none());
        assert!(read(&MEETING).unwrap().is_none());
    }

    #[test]
    fn who_need_not_meet_needs_no_meeting_and_a_stray_variable_makes_nobody_one_of_several() {
        let read = |variables: &[(&str, &str)]| {
            Apart::read(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let [torchrun, slurm] =
            [
                &[
                    ("RANK", "2"),
                    ("WORLD_SIZE", "4"),
                    ("LOCAL_RANK", "1"),
                    ("LOCAL_WORLD_SIZE", "2"),
                ][..],
                &[("SLURM_PROCID", "3"), ("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_LOCALID", "1")],
            ]
            .map(|variables| read(variables).unwrap());
        let share = Share { rank: 2, of: 4 };
        assert_eq!(torchrun, Apart { share, local_rank: 1, local_size: 2 });
        let share = Share { rank: 3, of: 8 };
        assert_eq!(slurm, Apart { share, local_rank: 1, local_size: 1 });
        for alone in [
            &[][..],
            &[("RANK", "1")],
            &[("WORLD_SIZE", "2")],
            &[("RANK", "0"), ("WORLD_SIZE", "1")],
            &[("RANK", "2"), ("WORLD_SIZE", "2")],
            &[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "8")],
        ] {
            assert_eq!(read(alone), None, "{alone:?}");
        }
    }

    #[test]
    fn what_is_missing_or_no_number_is_named() {
        let with = |variables: &[(&str, &str)]| read(&[variables, &MEETING].concat()).unwrap_err();
        for (variables, words) in [
            (&[("RANK", "0")][..], ["RANK is set", "WORLD_SIZE is not"]),
            (&[("WORLD_SIZE", "2")], ["WORLD_SIZE is set", "RANK is not"]),
            (&[("RANK", "x"), ("WORLD_SIZE", "2")], ["RANK is \"x\"", "whole number"]),
            (&[("RANK", "-1"), ("WORLD_SIZE", "2")], ["RANK is \"-1\"", "from 0"]),
            (&[("RANK", "0"), ("WORLD_SIZE", "0")], ["WORLD_SIZE is \"0\"", "from 1"]),
            (&[("RANK", "2"), ("WORLD_SIZE", "2")], ["RANK is 2", "from 0 to 1"]),
        ] {
            let sentence = with(variables);
            assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
        }
        let two = [("RANK", "0"), ("WORLD_SIZE", "2")];
        assert!(read(&two).unwrap_err().contains("MASTER_ADDR is not set"));
        let port = |port| {
            read(&[&two[..], &[("MASTER_ADDR", "one"), ("MASTER_PORT", port)]].concat())
                .unwrap_err()
        };
        assert!(port("70000").contains("MASTER_PORT is \"70000\""));
        let srun = read(&[("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_PROCID", "1")]).unwrap_err();
        assert!(srun.contains("4 processes") && srun.contains("MASTER_ADDR"), "{srun}");
    }
}
