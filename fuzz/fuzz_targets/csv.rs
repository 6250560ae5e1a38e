#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    convae_fuzz::go_on_after_caught_panics();
    convae_fuzz::readers::csv(input);
});
