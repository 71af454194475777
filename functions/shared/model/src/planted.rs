//! Protections that a simulation takes away, to see that it misses them. Without the feature `planted-faults` none can
//! be, and the compiler removes the question.

#[cfg(all(feature = "planted-faults", not(debug_assertions)))]
compile_error!("`planted-faults` takes protections away: nothing that is shipped may have it");

/// A fault: a protection that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlantedFault {
    /// A batch is acknowledged while chunks of it are left, whatever its counts say.
    AcknowledgesEarly,
    /// A queue is purged whether it is still the one that the batch was made of or not.
    PurgesAnotherQueue,
    /// A queue is purged up to what it holds now, and not up to what the batch was made of.
    PurgesAll,
    /// A record is written without the condition that it is still as it was read, and whatever its version says.
    WritesBlindly,
    /// Leases of connections and chunks are taken whoever holds them.
    IgnoresLeases,
    /// A page of a list is taken to begin where the one before ended.
    TrustsPlaces,
    /// Batches are numbered from 1.
    NumbersFromOne,
    /// A cursor follows a date into the future.
    TrustsDates,
    /// An undo brings back what was before, whoever wrote since.
    UndoesOthers,
    /// A customer is deleted if a single answer lacks it.
    TrustsOneAnswer,
    /// A customer is deleted if an answer lacks it beside companions, though it was not asked for alone.
    TrustsCompanions,
    /// A credential is never read again.
    KeepsCredentials,
    /// A segment of the feed is put at its number, whoever was there before.
    OverwritesSegments,
    /// What a destination did not take is passed over, though it is no failure record.
    PassesOver,
    /// Messages wait in one line, whoever they are of: a tenant with many keeps the others waiting.
    IgnoresTurns,
}

impl PlantedFault {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::AcknowledgesEarly,
        Self::PurgesAnotherQueue,
        Self::PurgesAll,
        Self::WritesBlindly,
        Self::IgnoresLeases,
        Self::TrustsPlaces,
        Self::NumbersFromOne,
        Self::TrustsDates,
        Self::UndoesOthers,
        Self::TrustsOneAnswer,
        Self::TrustsCompanions,
        Self::KeepsCredentials,
        Self::OverwritesSegments,
        Self::PassesOver,
        Self::IgnoresTurns,
    ];

    /// Whether this protection is missing, in a simulation on this thread.
    #[cfg(feature = "planted-faults")]
    pub fn is_planted(self) -> bool {
        PLANTED.get() == Some(self)
    }

    /// Whether this protection is missing: it never is.
    #[cfg(not(feature = "planted-faults"))]
    #[inline]
    pub fn is_planted(self) -> bool {
        false
    }

    /// From now on this protection, and no other, is missing on this thread.
    #[cfg(feature = "planted-faults")]
    pub fn plant(fault: Option<Self>) {
        PLANTED.set(fault);
    }
}

#[cfg(feature = "planted-faults")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<PlantedFault>> = const { std::cell::Cell::new(None) };
}
