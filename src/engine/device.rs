//! Which device computes.

use tch::{Cuda, Device};

use crate::system::exit::UsageError;

/// The device that the config asks for: `auto`, `cpu` or `cuda:N`.
///
/// # Errors
/// When a GPU is asked for that is not there.
pub fn choose_device(asked: &str) -> Result<Device, UsageError> {
    let count = if Cuda::is_available() { Cuda::device_count() } else { 0 };
    choose(asked, usize::try_from(count).unwrap_or(0))
}

/// The same for one of several processes on this machine: with `auto` each has a GPU of its own, as far as there are
/// some.
///
/// # Errors
/// As [`choose_device`].
pub fn choose_device_of(asked: &str, local_rank: usize) -> Result<Device, UsageError> {
    Ok(match choose_device(asked)? {
        Device::Cuda(0) if asked == "auto" => {
            let gpus = usize::try_from(Cuda::device_count()).unwrap_or(1).max(1);
            Device::Cuda(local_rank % gpus)
        }
        device => device,
    })
}

/// The same where there are so many GPUs.
fn choose(asked: &str, gpus: usize) -> Result<Device, UsageError> {
    let Some(number) = asked.strip_prefix("cuda:") else {
        return Ok(if asked == "auto" && gpus > 0 { Device::Cuda(0) } else { Device::Cpu });
    };
    match number.parse() {
        Ok(number) if number < gpus => Ok(Device::Cuda(number)),
        _ => Err(UsageError(format!("train.device is {asked:?}, but {}", remedy(gpus)))),
    }
}

fn remedy(gpus: usize) -> String {
    match gpus {
        0 => "this libtorch sees no GPU; use \"cpu\", or get the CUDA libtorch with \
              scripts/setup.sh --cuda"
            .to_owned(),
        1 => "the only GPU here is cuda:0; name that one, or \"cpu\"".to_owned(),
        _ => format!("the GPUs here are cuda:0 to cuda:{}; name one of them", gpus - 1),
    }
}

/// The device's name in a config.
#[must_use]
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(number) => format!("cuda:{number}"),
        _ => "cpu".to_owned(),
    }
}

/// Whether the processor multiplies bfloat16; every one with AMX has AVX-512 BF16 as well.
pub(super) fn computes_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(asked: &str, gpus: usize) -> String {
        choose(asked, gpus).unwrap_err().to_string()
    }

    #[test]
    fn without_a_gpu_auto_is_the_cpu_and_any_gpu_is_refused() {
        for asked in ["auto", "cpu"] {
            assert_eq!(choose(asked, 0).unwrap(), Device::Cpu);
        }
        for asked in ["cuda:0", "cuda:7"] {
            let refusal = refusal(asked, 0);
            assert!(refusal.contains(asked) && refusal.contains("no GPU"), "{refusal}");
            assert!(refusal.contains("use \"cpu\""), "{refusal}");
        }
    }

    #[test]
    fn with_gpus_auto_is_the_first_and_one_beyond_the_last_is_refused_by_their_names() {
        for gpus in [1, 4] {
            assert_eq!(choose("auto", gpus).unwrap(), Device::Cuda(0));
            assert_eq!(choose("cpu", gpus).unwrap(), Device::Cpu);
            let last = format!("cuda:{}", gpus - 1);
            assert_eq!(choose(&last, gpus).unwrap(), Device::Cuda(gpus - 1));
            let refusal = refusal("cuda:4", gpus);
            assert!(refusal.contains("\"cuda:4\"") && refusal.contains(&last), "{refusal}");
            assert!(!refusal.contains("no GPU"), "{refusal}");
        }
        assert!(refusal("cuda:1", 1).contains("the only GPU here is cuda:0"));
        assert!(refusal("cuda:4", 4).contains("cuda:0 to cuda:3"));
    }
}
