use std::io;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn document(text: &str) -> Result<Document, UclError> {
    with(text, &[])
}

/// With variables and without files.
fn with(text: &str, variables: &[(&str, &str)]) -> Result<Document, UclError> {
    with_files(text, variables, &[])
}

fn with_files(
    text: &str,
    variables: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Result<Document, UclError> {
    let input = Input {
        path: Path::new("/etc/node/node.conf"),
        variables,
        open: &mut |path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            let (name, text) = found.ok_or(io::ErrorKind::NotFound)?;
            Ok((PathBuf::from(name), text.as_bytes().to_vec()))
        },
    };
    read(text.as_bytes(), input)
}

/// All values of a key, sections by points, as short texts.
fn values(document: &Document, key: &str) -> Vec<String> {
    let mut nodes: Vec<&Node> = Vec::new();
    let mut sections = vec![&document.root];
    for part in key.split('.') {
        nodes = sections
            .iter()
            .flat_map(|section| &section.0)
            .filter(|entry| entry.key == part)
            .flat_map(|entry| &entry.nodes)
            .collect();
        sections = nodes
            .iter()
            .filter_map(|node| match &node.value {
                Value::Section(section) => Some(section),
                _ => None,
            })
            .collect();
    }
    nodes.into_iter().map(|node| shown(&node.value)).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{:?}", text.value()),
        Value::List(nodes) => {
            let all: Vec<_> = nodes.iter().map(|node| shown(&node.value)).collect();
            format!("[{}]", all.join(" "))
        }
        Value::Section(_) => "{}".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(value) => value.to_string(),
        Value::Null => "null".to_owned(),
    }
}

#[track_caller]
fn one(text: &str, key: &str, expected: &str) {
    let document = document(text).unwrap();
    assert_eq!(values(&document, key), [expected], "{text}");
}

#[track_caller]
fn wrong(text: &str, line: usize, part: &str) {
    let error = document(text).unwrap_err();
    assert_eq!(error.place.line, line, "{error}");
    assert!(error.what.contains(part), "{error}");
}

#[test]
fn a_value_is_what_its_form_says() {
    for (text, expected) in [
        ("k = plain text ; more = 1", "\"plain text\""),
        ("k = \"in # quotes; [a] {b}\"", "\"in # quotes; [a] {b}\""),
        (
            "k=http://127.0.0.1:80/rest # why",
            "\"http://127.0.0.1:80/rest\"",
        ),
        ("k : 0.0.0.0:2130", "\"0.0.0.0:2130\""),
        ("k 127.0.0.1:1\n", "\"127.0.0.1:1\""),
        ("k = 'one'", "\"'one'\""),
        ("\"k\": \"a\\n\\\"\\u00e4\\q\"", "\"a\\n\\\"äq\""),
        ("k =\n  below", "\"below\""),
        ("k = <<END\none\ntwo\nEND\n", "\"one\\ntwo\""),
        ("k = 12", "12"),
        ("k = -0x10", "-16"),
        ("k = 2k", "2000"),
        ("k = 2kb", "2048"),
        // The fraction is cut before.
        ("k = 1.5Mb", "1048576"),
        ("k = 1.5", "1.5"),
        ("k = 1e3", "1000.0"),
        ("k = 2min", "120.0"),
        ("k = 100ms", "0.1"),
        ("k = 10 s", "\"10 s\""),
        ("k = 99999999999999999999", "\"99999999999999999999\""),
        ("k = 781d78a9", "\"781d78a9\""),
        ("k = Yes", "true"),
        ("k = oFF", "false"),
        ("k = \"yes\"", "\"yes\""),
        ("k = null", "null"),
        ("k = [a, 2\n \"c\",]", "[\"a\" 2 \"c\"]"),
        ("k = [{ a = 1 }, [2]]", "[{} [2]]"),
        ("{ \"k\": 1, \"o\": {} } what follows", "1"),
    ] {
        one(text, "k", expected);
    }
}

#[test]
fn sections_are_in_each_other_with_and_without_names_and_keys_that_are_repeated_are_kept() {
    let text = "a {\n b { c = 1 } d = 2\n}\na { d = 3; d = 4 }\ns name { x = 5 }\nt = {y = 6}, u {z 7}\nleft { open = 8";
    let document = document(text).unwrap();
    assert_eq!(values(&document, "a"), ["{}", "{}"]);
    assert_eq!(values(&document, "a.b.c"), ["1"]);
    assert_eq!(values(&document, "a.d"), ["2", "3", "4"]);
    assert_eq!(values(&document, "s.name.x"), ["5"]);
    assert_eq!(values(&document, "t.y"), ["6"]);
    assert_eq!(values(&document, "u.z"), ["7"]);
    assert_eq!(values(&document, "left.open"), ["8"]);
}

#[test]
fn comments_are_passed_over_wherever_they_stand() {
    let text = "# one\n/* two /* in two */ \" */ \" */ a = 1 /* b = 2 */ c = 3 # d\n  e /* f */ = /* g\n */ 4\nh = 5/*i*/";
    let document = document(text).unwrap();
    for (key, value) in [("a", "1"), ("c", "3"), ("e", "4"), ("h", "5")] {
        assert_eq!(values(&document, key), [value], "{key}");
    }
    wrong("a = 1\n/* b\n/* */\n", 2, "does not end");
}

#[test]
fn every_value_knows_its_line_and_so_does_every_error() {
    let document = document("\n\na = [\n1,\n2 ]\nb {\n c = \"x\"\n}\n").unwrap();
    let a = &document.root.0[0].nodes[0];
    assert_eq!(a.place.to_string(), "line 3");
    let Value::List(list) = &a.value else {
        panic!("no list");
    };
    assert_eq!((list[0].place.line, list[1].place.line), (4, 5));
    assert_eq!(document.root.0[1].nodes[0].place.line, 6);

    wrong("\u{feff}a = 1\n", 1, "byte order mark");
    wrong("a = 1\nb = \"x\" c = 2\n", 2, "ends with its line");
    wrong("a = 1\nb\n", 2, "without a value");
    wrong("a = 1\n\nb = \"x\n", 3, "not closed");
    wrong("a = 1\n%b = 2\n", 2, "a key is wanted");
    wrong("a = 1\nb! = 2\n", 2, "no place in a key");
    wrong("a = [\"1\" 2]", 1, "comma");
    wrong("a = <<END\nx\n", 1, "no line with the word");
    wrong("a = x\u{7}", 1, "control");
    wrong("\n.nothing \"x\"", 2, "no macro");
    wrong("a = 1\n.include(glob=true) \"x\"", 2, "not supported");
    let error = read_alone(b"a = 1\nb = \xff\n").unwrap_err();
    assert_eq!(error.to_string(), "line 2: not text in UTF-8");
}

#[test]
fn variables_are_put_in_where_they_are_known() {
    let variables = [("A", "one"), ("AB", "two"), ("E", "")];
    let text =
        "x = \"${A}-${AB}-$ABC $$ ${N}\"\ny = ${E}\nz = \"$$ $N\"\np = ${CURDIR}/${FILENAME}\n";
    let document = with(text, &variables).unwrap();
    assert_eq!(values(&document, "x"), ["\"one-two-oneBC $ ${N}\""]);
    assert_eq!(values(&document, "y"), ["\"\""]);
    assert_eq!(values(&document, "z"), ["\"$$ $N\""]);
    assert_eq!(
        values(&document, "p"),
        ["\"/etc/node//etc/node/node.conf\""]
    );
    let Value::Text(text) = &document.root.0[0].nodes[0].value else {
        panic!("no text");
    };
    let variable = |name: &str, value: &str| Piece::Variable {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(text.0[0], variable("A", "one"));
    assert_eq!(text.0[2], variable("AB", "two"));
}

#[test]
fn without_braces_the_first_name_counts_that_the_text_begins_with() {
    let text = "x = \"$ABC\"\n.default(var=ABCD) \"three\"\ny = \"$ABCD\"\nz = \"${ABCD}\"\n";
    let found = |variables: &[(&str, &str)]| {
        let document = with(text, variables).unwrap();
        ["x", "y", "z"].map(|key| values(&document, key)[0].clone())
    };
    let expected = ["\"oneC\"", "\"oneCD\"", "\"three\""];
    assert_eq!(found(&[("AB", "one"), ("ABC", "two")]), expected);
    let expected = ["\"two\"", "\"twoD\"", "\"three\""];
    assert_eq!(found(&[("ABC", "two"), ("AB", "one")]), expected);
    // A value that is set again stays at its place.
    let again = with(
        &format!(".set(var=AB) \"ABC\"\n{text}"),
        &[("AB", "one"), ("ABC", "two")],
    );
    assert_eq!(values(&again.unwrap(), "x"), ["\"twoC\""]);
}

#[test]
fn a_text_of_nothing_but_open_braces_is_read_in_one_go() {
    let text = format!("a = \"{}\"", "${".repeat(FILE_MAX / 2 - 10));
    let document = with(&text, &[("A", "one")]).unwrap();
    assert_eq!(values(&document, "a")[0].len(), text.len() - 4);
}

#[test]
fn macros_choose_put_before_and_behind_and_give_defaults() {
    let text = r#"
.set(var=IP) "NONE:GIVEN:ENV_IP"
.set(var=PORT) "IP"
.append(var=PORT) ":1"
.prepend(var=PORT) "at "
.set(var=EMPTY) "NONE:OTHER"
.append(var=EMPTY) ":1"
.default(var=EMPTY) "else"
.default(var=IP) "not needed"
.append "x"
a = "${IP}"
b = "${PORT}"
c = "${EMPTY}"
"#;
    let document = with(text, &[("ENV_IP", "1.2.3.4")]).unwrap();
    assert_eq!(values(&document, "a"), ["\"1.2.3.4\""]);
    assert_eq!(values(&document, "b"), ["\"at 1.2.3.4:1\""]);
    assert_eq!(values(&document, "c"), ["\"else\""]);
    let remarks: Vec<_> = document
        .remarks
        .iter()
        .map(|remark| (remark.by.as_str(), remark.place.line))
        .collect();
    assert_eq!(
        remarks,
        [
            (".set(var=IP)", 2),
            (".set(var=EMPTY)", 6),
            (".append(var=)", 10)
        ]
    );
    // The environment's is still a variable.
    let Value::Text(text) = &document.root.0[1].nodes[0].value else {
        panic!("no text");
    };
    assert!(matches!(&text.0[1], Piece::Variable { name, .. } if name == "ENV_IP"));
}

#[test]
fn included_files_stand_where_they_are_included_and_name_themselves() {
    let files = [
        (
            "/etc/more.conf",
            "b = 2\nc = ${FILENAME}\n.include \"/etc/inner.conf\"\n",
        ),
        ("/etc/inner.conf", "d = ${CURDIR}; e ="),
    ];
    let text = "a = 1\n.include \"/etc/more.conf\"\n.try_include \"/none\"\n.include(try=true) \"/none\"\nf = ${FILENAME}\n";
    let error = with_files(text, &[], &files).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/etc/more.conf > /etc/inner.conf, line 1: a key without a value"
    );
    let files = [files[0], ("/etc/inner.conf", "d = ${CURDIR}")];
    let document = with_files(text, &[], &files).unwrap();
    assert_eq!(values(&document, "b"), ["2"]);
    assert_eq!(values(&document, "c"), ["\"/etc/more.conf\""]);
    assert_eq!(values(&document, "d"), ["\"/etc\""]);
    assert_eq!(values(&document, "f"), ["\"/etc/node/node.conf\""]);
    let error = with_files("\n.include \"/none\"", &[], &files).unwrap_err();
    assert_eq!(error.place.line, 2);
}

#[test]
fn what_grows_without_bound_is_refused() {
    let itself = [("/a", ".include \"/a\"\n")];
    let error = with_files(".include \"/a\"", &[], &itself).unwrap_err();
    assert!(error.what.contains("within each other"), "{error}");
    let many = ".include \"/b\"\n".repeat(100);
    let error = with_files(&many, &[], &[("/b", "c = 1\n")]).unwrap_err();
    assert!(error.what.contains("files"), "{error}");
    let double = format!(
        ".default(var=X) \"0123456789\"\n{}",
        ".append(var=X) \"${X}\"\n".repeat(40)
    );
    wrong(&double, 14, "longer than");
    let texts = format!(
        ".default(var=X) \"{}\"\n{}",
        "x".repeat(60_000),
        "a = ${X}\n".repeat(1000)
    );
    wrong(&texts, 70, "bytes of text");
    wrong(&"a {".repeat(100), 1, "within each other");
    wrong(&format!("a = {}", "[".repeat(100)), 1, "within each other");
    wrong(&"a = 1\n".repeat(20_000), 10_001, "values");
    wrong(&"#".repeat(FILE_MAX + 1), 1, "more than");
    wrong(&"k".repeat(1000), 1, "a key of more than");
    wrong(
        &format!("\"{}\" = 1", "k".repeat(1000)),
        1,
        "a key of more than",
    );
    let variables: String = (0..2000)
        .map(|n| format!(".default(var=V{n}) \"x\"\n"))
        .collect();
    wrong(&variables, 999, "variables");
}

/// Pieces of which a file is made, so that more than the first line is read.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "a", " = ", ": ", "{", "}", "[", "]", "\"", "\\", "\n", ";", ",", "#", "/*", "*/",
            "${A}", "$A", "$$", "<<E\n", "E\n", ".set", "(var=A)", ".include", "1", "-", "0x",
            "kb", "yes", "é", "\u{0}", "(", ")",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9 .:]{0,6}",
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_alone(&bytes);
    }

    #[test]
    fn no_text_panics_and_an_error_is_in_a_line_that_is_there(parts in prop::collection::vec(part(), 0..60)) {
        let text = parts.concat();
        if let Err(error) = with(&text, &[("A", "value")]) {
            prop_assert!(error.place.line >= 1);
            prop_assert!(error.place.line <= text.matches('\n').count() + 1);
        }
    }

    #[test]
    fn a_text_in_quotes_comes_out_as_it_went_in(text in "[^\\p{Cc}$]{0,40}") {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        let read = document(&format!("k = \"{quoted}\"")).unwrap();
        let Value::Text(found) = &read.root.0[0].nodes[0].value else {
            panic!("no text");
        };
        prop_assert_eq!(found.value(), text);
    }
}

#[test]
fn a_file_of_its_own_has_no_variables_and_includes_nothing() {
    let document = read_alone(b"a = \"${HOME} $$ ${CURDIR} $FILENAME\"").unwrap();
    let text = "\"${HOME} $$ ${CURDIR} $FILENAME\"";
    assert_eq!(values(&document, "a"), [text]);
    assert!(read_alone(b".include \"/etc/passwd\"").is_err());
}

#[test]
fn nothing_of_a_file_of_its_own_is_told_and_little_of_another() {
    let secret = "5eed".repeat(16);
    for text in [
        secret.clone(),
        format!("a{secret}! = 1"),
        format!(".{secret} x"),
        format!(".include({secret}=1) {secret}"),
        format!("a = <<{}\nx", "S".repeat(64)),
        format!("a = \"x\" {secret}"),
        format!("\"{secret}"),
    ] {
        let told = read_alone(text.as_bytes()).unwrap_err().to_string();
        assert!(!told.contains("5eed") && !told.contains("SSSS"), "{told}");
        let told = document(&text).unwrap_err().to_string();
        assert!(!told.contains(&secret[..21]), "{told}");
        assert!(!told.contains(&"S".repeat(21)), "{told}");
    }
}
