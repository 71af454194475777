use std::sync::{Arc, Mutex};

use crate::clock::lock;

/// Random numbers, from a seed if a run must repeat exactly.
#[derive(Clone, Debug)]
pub struct Random {
    numbers: Arc<Mutex<fastrand::Rng>>,
    is_seeded: bool,
}

impl Random {
    /// Numbers that differ from run to run.
    pub fn from_entropy() -> Self {
        Self { numbers: Arc::new(Mutex::new(fastrand::Rng::new())), is_seeded: false }
    }

    /// The same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self { numbers: Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))), is_seeded: true }
    }

    /// Random bytes for a secret, which can't be guessed from any others: the operating system's, except with a seed.
    ///
    /// # Errors
    /// If the operating system has none.
    pub fn secret(&self) -> std::io::Result<[u8; 32]> {
        let mut bytes = [0; 32];
        if self.is_seeded {
            lock(&self.numbers).fill(&mut bytes);
        } else {
            getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        }
        Ok(bytes)
    }

    /// A number in `0..limit`; 0 if `limit` is 0.
    pub fn below(&self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { lock(&self.numbers).u64(0..limit) }
    }

    /// Sixteen random bytes.
    pub fn bytes(&self) -> [u8; 16] {
        lock(&self.numbers).u128(..).to_be_bytes()
    }

    /// A unique id, to own a lease with.
    pub fn owner_id(&self) -> String {
        format!("{:032x}", lock(&self.numbers).u128(..))
    }
}
