//! The words of a source that may be shown.

/// Whether a word may be shown: one that systems use to say what went wrong, or the name of an element of the sources'
/// documents. No word in the list is personal data, or commonly the name of a person.
pub(crate) fn is_known(word: &str) -> bool {
    let folded: String = word.chars().filter(|letter| *letter != '_' && *letter != '-').collect();
    WORDS.binary_search(&folded.to_ascii_lowercase().as_str()).is_ok()
}

/// In order, in lower case.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "a", "able", "abort", "aborted", "about", "absent", "accept", "accepted", "access", "according", "account",
    "accountid", "accounts", "action", "active", "add", "added", "address", "addresses", "administrator", "after",
    "again", "against", "all", "allow", "allowed", "already", "also", "alter", "although", "always", "ambiguous", "an",
    "and", "another", "answer", "any", "anything", "api", "apikey", "application", "apply", "are", "argument",
    "arguments", "array", "as", "asked", "asmx", "aspx", "assertion", "at", "attempt", "attempted", "attribute",
    "attributes", "authentication", "authorization", "authorized", "available", "back", "backend", "bad", "base",
    "batch", "be", "because", "been", "before", "begin", "being", "below", "between", "beyond", "big", "binary", "bit",
    "block", "blocked", "body", "boolean", "both", "bound", "broken", "buffer", "bulk", "busy", "but", "by", "byte",
    "bytes", "cache", "call", "called", "caller", "calls", "campaign", "campaigns", "campaignstoinclude", "can",
    "can't", "cancelled", "cannot", "catalog", "catalyst", "cause", "caused", "certificate", "change", "changed",
    "character", "characters", "charset", "check", "checked", "child", "client", "clob", "close", "closed", "code",
    "collection", "column", "columns", "command", "commit", "communication", "complete", "completed", "concurrent",
    "condition", "configuration", "configured", "conflict", "connect", "connected", "connecting", "connection",
    "connections", "constraint", "contact", "contactlist", "contactlistretrieve", "contactlistretrieveresponse",
    "contactlistretrieveresult", "contactlistupdateinsert", "contactrecord", "contacts", "contain", "contained",
    "contains", "content", "context", "conversion", "convert", "converting", "copy", "corrupt", "corrupted", "could",
    "couldn't", "create", "created", "credential", "credentials", "crm", "current", "currently", "cursor", "custid",
    "custids", "custinfo", "custinforequest", "custinfos", "customer", "customers", "customersbatch", "custrequest",
    "cutoff", "data", "database", "datatype", "date", "datetime", "deadline", "deadlock", "decimal", "declared",
    "decode", "default", "defined", "delete", "deleted", "delimiter", "denied", "depth", "description", "deserialize",
    "destination", "detail", "details", "detected", "did", "didn't", "different", "digit", "digits", "directory",
    "directoryid", "disabled", "disconnected", "disk", "do", "document", "does", "doesn't", "domain", "don't", "done",
    "down", "dropped", "due", "duplicate", "duplicated", "duplicates", "during", "each", "either", "element",
    "elements", "email", "emails", "empty", "enable", "enabled", "encoded", "encoding", "encountered", "end",
    "endpoint", "engine", "enough", "enqueue", "enqueuerequest", "enqueuestatus", "entity", "entityid", "entry",
    "error", "errors", "establish", "established", "every", "exact", "exactly", "exceed", "exceeded", "exceeds",
    "exception", "exclusive", "execute", "executed", "executing", "execution", "exhausted", "exist", "existing",
    "exists", "expected", "expiration", "expire", "expired", "expression", "extent", "external", "fail", "failed",
    "failing", "fails", "failure", "fatal", "fault", "faultcode", "faultstring", "fetch", "fetched", "few", "file",
    "files", "find", "finished", "first", "flag", "folder", "follow", "following", "for", "forbidden", "force",
    "forced", "foreign", "form", "format", "found", "from", "full", "function", "gateway", "general", "generated",
    "get", "given", "go", "granted", "group", "groups", "had", "handle", "handler", "has", "hasn't", "have", "haven't",
    "header", "headers", "higher", "host", "hour", "hours", "how", "however", "html", "http", "https", "id",
    "identified", "identifier", "identify", "identity", "idle", "ids", "if", "ignored", "illegal", "import", "imported",
    "in", "inactive", "include", "included", "incomplete", "incorrect", "index", "information", "initialize",
    "initialized", "inner", "input", "insert", "inserted", "instance", "insufficient", "integer", "integrator",
    "integratorpassword", "integratorusername", "integrity", "interface", "internal", "interrupted", "into", "invalid",
    "invocation", "ip", "is", "isn't", "issue", "it", "item", "items", "its", "join", "key", "keys", "kind", "known",
    "last", "lastupdatedate", "later", "least", "length", "less", "level", "library", "license", "like", "limit",
    "limited", "limits", "line", "list", "listener", "load", "loaded", "local", "locale", "lock", "locked", "locks",
    "log", "logged", "login", "logins", "longer", "lost", "made", "maintenance", "make", "malformed", "many", "match",
    "matched", "matching", "max", "maximum", "maxqueuenum", "maybe", "member", "members", "membership", "memory",
    "message", "messages", "metadata", "method", "minimum", "minute", "minutes", "misconfigured", "mismatch", "missing",
    "mode", "modified", "module", "moment", "more", "morerecords", "most", "moved", "multiple", "must", "name", "named",
    "names", "namespace", "need", "needed", "negative", "nested", "network", "new", "next", "no", "node", "none", "nor",
    "normal", "not", "nothing", "now", "null", "number", "numbers", "numeric", "object", "objects", "obtain",
    "occurred", "of", "off", "offline", "offset", "oid", "ok", "old", "older", "on", "once", "one", "online", "only",
    "open", "opened", "operation", "operator", "option", "optional", "or", "oracle", "order", "other", "out", "outside",
    "over", "overflow", "overwrite", "overwriteduplicates", "own", "owner", "package", "packet", "parameter",
    "parameters", "parent", "parse", "parsed", "parser", "parsing", "part", "partial", "passed", "password",
    "passwords", "path", "pause", "pending", "per", "perform", "performed", "perhaps", "permission", "permissions",
    "permitted", "phone", "phones", "pinputxmldoc", "please", "port", "position", "positive", "possible", "prefix",
    "present", "prevented", "previous", "primary", "private", "privilege", "privileges", "problem", "procedure",
    "process", "processed", "processing", "profile", "profilesdata", "program", "property", "protocol", "provide",
    "provided", "provider", "provisioned", "proxy", "public", "purge", "purged", "purgerequest", "purgestatus", "put",
    "query", "queue", "queued", "queuedcusts", "quota", "raised", "range", "rate", "read", "reading", "ready", "reason",
    "receive", "received", "recognize", "recognized", "record", "records", "recordstart", "recursive", "ref", "refer",
    "reference", "referenced", "refused", "registered", "reject", "rejected", "relation", "release", "remote",
    "removed", "repeated", "reply", "report", "request", "requested", "requests", "require", "required", "reserved",
    "reset", "resource", "resources", "response", "restart", "restarted", "restricted", "result", "results", "retried",
    "retrieve", "retry", "return", "returned", "returns", "role", "rollback", "routine", "row", "rows", "rule",
    "running", "runtime", "same", "save", "saved", "schema", "scope", "search", "second", "seconds", "section",
    "secure", "security", "see", "segment", "select", "send", "sent", "sequence", "serialize", "server", "servers",
    "service", "services", "session", "sessions", "set", "shared", "should", "shut", "shutdown", "shutting", "side",
    "signal", "signature", "since", "single", "site", "siteid", "size", "snapshot", "soap", "soapaction", "socket",
    "some", "soon", "sorry", "source", "space", "special", "specified", "sql", "ssl", "stack", "start", "started",
    "starting", "state", "statement", "status", "still", "stop", "stopped", "storage", "store", "stored", "stream",
    "string", "structure", "subscription", "subscriptions", "such", "sufficient", "supplied", "support", "supported",
    "suspended", "synchronization", "syntax", "system", "systems", "table", "tables", "tablespace", "tag", "target",
    "task", "temporarily", "temporary", "terminated", "text", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "thing", "this", "those", "thread", "threads", "through", "time", "timed", "timeout", "timestamp",
    "timezone", "to", "token", "too", "total", "transaction", "transactions", "transport", "trigger", "truncated",
    "try", "trying", "two", "type", "types", "unable", "unauthorized", "unavailable", "undefined", "under", "undo",
    "unexpected", "unhandled", "uninitialized", "unique", "unit", "unknown", "unless", "unreachable", "unrecognized",
    "unspecified", "unsupported", "until", "up", "update", "updated", "updates", "upgrade", "uri", "url", "usable",
    "usage", "use", "used", "user", "userapikey", "userid", "username", "userpassword", "users", "using", "utf",
    "valid", "validate", "validation", "value", "values", "variable", "vendor", "vendorid", "vendorpassword",
    "verification", "version", "very", "view", "violated", "violates", "violation", "wait", "waiting", "warning", "was",
    "wasn't", "we", "web", "went", "were", "what", "when", "where", "whether", "which", "while", "who", "whole", "why",
    "wildcard", "with", "within", "without", "word", "words", "work", "working", "write", "writing", "written", "wrong",
    "wsdl", "xml", "xsl", "yes", "yet", "you", "your", "zone",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order() {
        assert!(WORDS.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn words_are_known_in_any_case_and_names_of_elements_in_either_dialect() {
        for word in ["error", "Server", "SOAPAction", "max-queue-num", "maxQueueNum", "p_input_xml_doc", "can't"] {
            assert!(is_known(word), "{word}");
        }
        // The commonest names of people, and words that are as often a name.
        for word in [
            "jane", "roe", "john", "doe", "smith", "mark", "grant", "will", "rose", "bill", "frank", "young", "long",
            "may", "page", "white", "green", "king", "price", "day", "field", "fields", "hill", "church", "major",
            "drew", "grace", "max1",
        ] {
            assert!(!is_known(word), "{word}");
        }
    }
}
