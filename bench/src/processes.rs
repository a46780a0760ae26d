//! What a process has used so far: of the processor, and of memory.

use std::fs::{read_dir, read_to_string};
use std::path::PathBuf;

use anyhow::{Context, Result};

/// For how long the threads of a process have run, in nanoseconds: the first field of `schedstat`.
///
/// # Errors
/// It is gone.
pub fn used_ns(process: u32) -> Result<u64> {
    let mut sum = 0;
    for task in tasks(process)? {
        // A thread may end in between.
        let Ok(text) = read_to_string(task.join("schedstat")) else { continue };
        let first = text.split(' ').next().unwrap_or_default();
        sum += first.parse::<u64>().with_context(|| format!("no schedstat: {text:?}"))?;
    }
    Ok(sum)
}

/// Bytes of memory that a process holds now.
///
/// # Errors
/// It is gone.
pub fn memory_bytes(process: u32) -> Result<u64> {
    status_bytes(process, "VmRSS:")
}

/// Most bytes of memory that a process ever held.
///
/// # Errors
/// It is gone.
pub fn most_memory_bytes(process: u32) -> Result<u64> {
    status_bytes(process, "VmHWM:")
}

fn status_bytes(process: u32, field: &str) -> Result<u64> {
    let text = read_to_string(format!("/proc/{process}/status")).with_context(|| gone(process))?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB"));
    Ok(value.with_context(|| format!("process {process} has no {field}"))?.parse::<u64>()? * 1_024)
}

/// A folder of the kernel's for each thread.
///
/// # Errors
/// The process is gone.
pub fn tasks(process: u32) -> Result<Vec<PathBuf>> {
    let entries = read_dir(format!("/proc/{process}/task")).with_context(|| gone(process))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn gone(process: u32) -> String {
    format!("process {process} is gone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let this = std::process::id();
        let (now, most) = (memory_bytes(this).unwrap(), most_memory_bytes(this).unwrap());
        assert!(used_ns(this).unwrap() > 0 && now > 100_000 && most >= now / 2, "{now} {most}");
        assert!(memory_bytes(u32::MAX).is_err());
    }
}
