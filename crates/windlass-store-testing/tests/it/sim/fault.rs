//! The ways in which a simulated store can break its word.

/// One defect, of a kind that real stores have had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// P1: values pass through text, and what is no text is replaced.
    ValuesAsText,
    /// P2: the disk gets a batch in two halves.
    TornDisk,
    /// P3: `Present` holds for a key that never had a value.
    PresentForNever,
    /// P4: versions are compared without their incarnation.
    ForeignIncarnation,
    /// P5: a store that opens goes on counting from the rows it finds.
    CountsFromRows,
    /// P5: every store has the same incarnation.
    FixedIncarnation,
    /// P6: keys sort as signed bytes.
    SignedBytes,
    /// P7: a full page always has more.
    MoreAtLimit,
    /// P7: a read is bounded by its entries only, not by their bytes.
    BytesUnbounded,
    /// P8: each scan of a read looks at a moment of its own.
    ScanByScan,
    /// P9: a batch that rewrites one key is checked, then applied.
    SplitUpdates,
    /// P10: a batch that checks what it does not write is checked, then
    /// applied.
    SplitCrossed,
    /// P11: a process that ends without closing loses its last commit.
    LosesLast,
    /// P12: the number of checks is not looked at.
    ChecksUnlimited,
    /// P13: a closed store still answers reads.
    ReadsAfterClose,
    /// P14: a commit that is dropped stops where it is.
    HalfWhenDropped,
    /// P15: hints that nobody reads fill a queue, and commits fail.
    HintsFill,
    /// P16: a delete also takes back the batch's puts of keys that begin with
    /// its key.
    DeletesBelow,
    /// P17: a second process decides by what it saw when it opened.
    StaleContender,
    /// P18: checksums are written and never looked at.
    SealIgnored,
    /// P18: the checksum covers the value and not its key.
    KeyUnsealed,
    /// P18: missing rows are not noticed when the store opens.
    TruncationUnnoticed,
    /// P18: an emptied file is taken for a fresh one.
    EmptiedIsFresh,
    /// P18: a file of another program is taken over.
    ForeignAdopted,
    /// P19: an export looks at the present, piece by piece.
    LiveExport,
}
