//! Vectors of values: what the hot kernels are written over, once for every instruction set.

use num_traits::Zero;

use super::Real;

/// Some values that are computed together. Implementations are inlined into functions that enable
/// the instructions they need; those functions are unsafe to call, which is where the CPU is asked.
pub(super) trait Lanes: Copy {
    /// `f32` or `f64`.
    type Value: Real;
    /// Values in a vector.
    const COUNT: usize;
    /// Accumulators of two vectors each that fit into the registers beside what they are fed from.
    const TILE: usize;
    /// The same of one vector each.
    const TALL: usize;
    /// Half as many lanes, where these take half the time; else the same.
    type Half: Lanes<Value = Self::Value>;

    /// Accumulators for so many columns, at most two vectors of them.
    #[inline(always)]
    fn most(columns: usize) -> usize {
        if columns > Self::COUNT { Self::TILE } else { Self::TALL }
    }

    /// All lanes hold `value`.
    fn splat(value: Self::Value) -> Self;

    /// # Safety
    /// `COUNT` values can be read at `from`.
    unsafe fn load(from: *const Self::Value) -> Self;

    /// # Safety
    /// `COUNT` values can be written at `to`.
    unsafe fn store(self, to: *mut Self::Value);

    /// `self * factor + term`, rounded once where the CPU can.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// Lane by lane.
    fn add(self, other: Self) -> Self;

    /// Lane by lane.
    fn sub(self, other: Self) -> Self;

    /// Writes the first `count` lanes.
    ///
    /// # Safety
    /// `count` values can be written at `to`, and `count` is at most `COUNT`.
    #[inline(always)]
    unsafe fn store_first(self, to: *mut Self::Value, count: usize) {
        let mut all = [Self::Value::zero(); LARGEST];
        // SAFETY: no vector is longer than `LARGEST`; the caller answers for `to`.
        unsafe {
            self.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), to, count);
        }
    }
}

/// Lanes of the longest vector.
pub(super) const LARGEST: usize = 16;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m256d, __m512, __m512d, _mm256_add_pd, _mm256_add_ps, _mm256_fmadd_pd,
        _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_set1_pd, _mm256_set1_ps,
        _mm256_storeu_pd, _mm256_storeu_ps, _mm256_sub_pd, _mm256_sub_ps, _mm512_add_pd,
        _mm512_add_ps, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_loadu_pd, _mm512_loadu_ps,
        _mm512_set1_pd, _mm512_set1_ps, _mm512_storeu_pd, _mm512_storeu_ps, _mm512_sub_pd,
        _mm512_sub_ps,
    };

    use super::Lanes;

    macro_rules! lanes {
        ($Vector:ident of $count:literal $Value:ident, half $Half:ident, tile $tile:literal,
         $splat:ident, $load:ident, $store:ident, $mul_add:ident, $add:ident, $sub:ident) => {
            impl Lanes for $Vector {
                type Value = $Value;
                const COUNT: usize = $count;
                const TILE: usize = $tile;
                const TALL: usize = 14;
                type Half = $Half;

                #[inline(always)]
                fn splat(value: $Value) -> Self {
                    // SAFETY: only functions that enable these instructions inline this.
                    unsafe { $splat(value) }
                }

                #[inline(always)]
                unsafe fn load(from: *const $Value) -> Self {
                    // SAFETY: as above; the caller answers for the address.
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(self, to: *mut $Value) {
                    // SAFETY: as above; the caller answers for the address.
                    unsafe { $store(to, self) }
                }

                #[inline(always)]
                fn mul_add(self, factor: Self, term: Self) -> Self {
                    // SAFETY: only functions that enable these instructions inline this.
                    unsafe { $mul_add(self, factor, term) }
                }

                #[inline(always)]
                fn add(self, other: Self) -> Self {
                    // SAFETY: only functions that enable these instructions inline this.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                fn sub(self, other: Self) -> Self {
                    // SAFETY: only functions that enable these instructions inline this.
                    unsafe { $sub(self, other) }
                }
            }
        };
    }

    lanes!(__m512 of 16 f32, half __m256, tile 14, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_sub_ps);
    lanes!(__m512d of 8 f64, half __m256d, tile 14, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_fmadd_pd, _mm512_add_pd, _mm512_sub_pd);
    lanes!(__m256 of 8 f32, half __m256, tile 6, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_sub_ps);
    lanes!(__m256d of 4 f64, half __m256d, tile 6, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_fmadd_pd, _mm256_add_pd, _mm256_sub_pd);
}

/// What every CPU can do: the compiler turns these loops into the vectors that it knows of.
#[derive(Clone, Copy)]
pub(super) struct Portable<T, const N: usize>([T; N]);

impl<T: Real, const N: usize> Lanes for Portable<T, N> {
    type Value = T;
    const COUNT: usize = N;
    const TILE: usize = 4;
    const TALL: usize = 8;
    type Half = Self;

    #[inline(always)]
    fn splat(value: T) -> Self {
        Self([value; N])
    }

    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: an array has the layout of its values; the caller answers for the address.
        Self(unsafe { from.cast::<[T; N]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: as above.
        unsafe { to.cast::<[T; N]>().write(self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        let mut result = term;
        for ((sum, a), b) in result.0.iter_mut().zip(self.0).zip(factor.0) {
            *sum = *sum + a * b;
        }
        result
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut result = self;
        for (sum, term) in result.0.iter_mut().zip(other.0) {
            *sum = *sum + term;
        }
        result
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let mut result = self;
        for (difference, term) in result.0.iter_mut().zip(other.0) {
            *difference = *difference - term;
        }
        result
    }
}
