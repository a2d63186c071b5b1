//! The texts and numbers that many wire types share, each described once for
//! the OpenAPI document. Nothing is ever made of these types.

use utoipa::openapi::schema::{ArrayBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

macro_rules! described {
    ($(#[$doc:meta])* $name:ident, $build:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::from($build.build()))
            }
        }

        impl ToSchema for $name {}
    };
}

fn text(min: usize, max: usize) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(min))
        .max_length(Some(max))
}

fn list(of: RefOr<Schema>, min: usize, max: usize) -> ArrayBuilder {
    ArrayBuilder::new()
        .items(of)
        .min_items(Some(min))
        .max_items(Some(max))
}

described!(
    /// An identifier of the caller's choosing.
    Identifier,
    text(1, 128)
        .pattern(Some(
            r"^(\.?[A-Za-z0-9_~:-]|\.\.[A-Za-z0-9._~:-])[A-Za-z0-9._~:-]*$"
        ))
        .description(Some(
            "1 to 128 characters of `A-Z a-z 0-9 . _ ~ : -`, neither `.` nor `..`."
        ))
);
described!(
    /// The key of an entry of a stash.
    Key,
    text(1, 256)
        .pattern(Some(r"^[A-Za-z0-9_.:-]+$"))
        .description(Some("1 to 256 characters of `A-Z a-z 0-9 _ - . :`."))
);
described!(
    /// The name of a tool or a credential.
    Name,
    text(1, 256)
        .pattern(Some(r"^[^*\u0000-\u001f\u007f-\u009f]+$"))
        .description(Some(
            "1 to 256 bytes of UTF-8 without control characters and without `*`."
        ))
);
described!(
    /// A name, or the beginning of one and `*`.
    Pattern,
    text(1, 256)
        .pattern(Some(
            r"^([^*\u0000-\u001f\u007f-\u009f]+\*?|\*)$"
        ))
        .description(Some(
            "1 to 256 bytes of UTF-8 without control characters: a name, or the beginning \
             of names followed by `*`, which stands for every name that begins so."
        ))
);
described!(
    /// A point in time.
    UnixMs,
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .description(Some("Milliseconds since 1970-01-01T00:00:00Z."))
);
described!(
    /// Any JSON value.
    Json,
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some("Any JSON value, nested at most 128 levels."))
);
described!(
    /// Any bytes, as text.
    Bytes,
    ObjectBuilder::new()
        .schema_type(Type::String)
        .content_encoding("base64")
        .description(Some("Any bytes, in base64 with padding."))
);
described!(
    /// The name of a content.
    Blob,
    text(64, 64)
        .pattern(Some("^[0-9a-f]{64}$"))
        .description(Some("The SHA-256 of a content, as 64 lower-case hex digits."))
);
described!(
    /// The name of a batch of work.
    WorkId,
    text(36, 36)
        .pattern(Some("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))
        .description(Some("A UUID of version 7 that the server gave."))
);
described!(
    /// A place in a stream.
    Offset,
    text(16, 16)
        .pattern(Some("^[0-9a-f]{16}$"))
        .description(Some("A place in a stream: 16 hex digits, which sort as the places do."))
);
described!(
    /// The digest of a stream up to some place.
    Digest,
    text(64, 64)
        .pattern(Some("^[0-9a-f]{64}$"))
        .description(Some("The digest of a stream's rows up to some place."))
);
described!(
    /// A number that may be more than a double holds.
    Count,
    text(1, 20)
        .pattern(Some("^[0-9]+$"))
        .description(Some("A whole number, as text: it may pass 2^53."))
);
described!(
    /// Names a state of a session.
    At,
    text(1, 132)
        .pattern(Some(r"^(head|[0-9]{1,20}|tag:[A-Za-z0-9._~:-]{1,128})$"))
        .description(Some("`head`, a revision, or `tag:` and the name of a tag."))
);
described!(
    /// A verb that a credential may hold.
    Verb,
    text(1, 64)
        .pattern(Some(r"^(\*|[a-z]+\.(\*|[a-z]+))$"))
        .description(Some(
            "A verb such as `session.use`, every verb of a noun such as `stash.*`, or `*`."
        ))
);

described!(
    /// Names and patterns of a list that allows.
    Patterns,
    list(Pattern::schema(), 0, 1_024)
);
described!(
    /// The groups that a credential names.
    Identifiers,
    list(Identifier::schema(), 1, 64)
);
