//! Which device computes.

use tch::{Cuda, Device};

use crate::exit::Misuse;

/// The device that the config asks for: `auto`, `cpu` or `cuda:N`.
///
/// # Errors
/// When a GPU is asked for that is not there.
pub fn choose_device(asked: &str) -> Result<Device, Misuse> {
    let available = usize::try_from(Cuda::device_count()).unwrap_or(0);
    let Some(number) = asked.strip_prefix("cuda:") else {
        let first_gpu = asked == "auto" && Cuda::is_available() && available > 0;
        return Ok(if first_gpu { Device::Cuda(0) } else { Device::Cpu });
    };
    match number.parse() {
        Ok(number) if Cuda::is_available() && number < available => Ok(Device::Cuda(number)),
        _ if available == 0 => Err(Misuse(format!(
            "train.device is {asked:?}, but this libtorch sees no GPU; use \"cpu\", or get the \
             CUDA libtorch with scripts/setup.sh --cuda"
        ))),
        _ => Err(Misuse(format!(
            "train.device is {asked:?}, but the GPUs here are cuda:0 to cuda:{}; name one of them",
            available - 1
        ))),
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
