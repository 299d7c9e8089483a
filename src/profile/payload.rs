//! The body of a request: JSON, a form, a multipart form with files, or a text or file as it is.

use serde::Deserialize;
use serde_json::Value;

use super::template::{self, Escaping, Scope, TemplateValues};
use crate::http::{Body, Part, form};

/// The form in which a body is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As JSON.
    #[default]
    Json,
    /// As `application/x-www-form-urlencoded`; the body is a table.
    Form,
    /// As `multipart/form-data`; the body is a table in which `@PATH` sends a file.
    Multipart,
    /// As it is: a text, or `@PATH` for a file.
    Raw,
}

/// Fills in `body`, which stands at `key`.
pub(super) fn fill(body: &Value, encoding: Encoding, values: &TemplateValues) -> Result<Body, String> {
    let filled = template::fill_json(body, values)?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // What a value brings does not make a field a file, only the template does.
    let file = |template: &Value| {
        let path = template.as_str()?.strip_prefix('@')?;
        Some(template::fill(path, values, Escaping::Text))
    };
    Ok(match encoding {
        Encoding::Json => Body::json(filled.to_string()),
        Encoding::Form => {
            let fields: Vec<(String, String)> =
                members(&filled).map(|(name, value)| (name.clone(), text(value))).collect();
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            Body::form(form(&fields))
        }
        Encoding::Multipart => {
            let part = |(name, value): (&String, &Value)| {
                Ok(match file(&body[name]) {
                    Some(path) => Part::File { name: name.clone(), path: path?.into() },
                    None => Part::Text { name: name.clone(), text: text(value) },
                })
            };
            Body::Multipart(members(&filled).map(part).collect::<Result<_, String>>()?)
        }
        Encoding::Raw => match file(body) {
            Some(path) => Body::File(path?.into()),
            None => Body::text(text(&filled)),
        },
    })
}

/// Checks a body that stands at `key`.
pub(super) fn check(key: &str, body: Option<&Value>, encoding: Encoding, scope: Scope) -> Result<(), String> {
    let Some(body) = body else {
        let is_default = encoding == Encoding::default();
        return if is_default { Ok(()) } else { Err(format!("{key}: `encoding` without a `body`")) };
    };
    template::each_string(body, &mut |text| template::check(text, scope))
        .map_err(|error| format!("{key}.body: {error}"))?;
    match encoding {
        Encoding::Form | Encoding::Multipart if !body.is_object() => {
            Err(format!("{key}.body: a form is a table of fields"))
        }
        Encoding::Raw if !body.is_string() => Err(format!("{key}.body: with encoding = \"raw\" it is a string")),
        _ => Ok(()),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Reads a TOML value as JSON.
pub(super) fn from_toml<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    json_of(value).map(Some).map_err(serde::de::Error::custom)
}

fn json_of(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) if number.is_finite() => Value::from(number),
        toml::Value::Float(number) => return Err(format!("{number} has no JSON form")),
        toml::Value::Boolean(truth) => Value::Bool(truth),
        toml::Value::Datetime(time) => return Err(format!("{time} has no JSON form; write it as a string")),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(json_of).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => Value::Object(
            table.into_iter().map(|(key, item)| Ok((key, json_of(item)?))).collect::<Result<_, String>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_takes_the_form_that_the_encoding_names() {
        let values = TemplateValues::of_set(&[("f".to_owned(), "@/etc/passwd".into())]);
        let of = |body: Value, encoding| fill(&body, encoding, &values).unwrap();
        assert_eq!(of(json!({"a": "x y", "n": 1}), Encoding::Form), Body::form("a=x+y&n=1".to_owned()));
        assert_eq!(
            of(json!("{set.f}"), Encoding::Raw),
            Body::text("@/etc/passwd".to_owned()),
            "a value is no file's name"
        );
        assert_eq!(of(json!("@/x"), Encoding::Raw), Body::File("/x".into()));
        let parts = vec![
            Part::File { name: "file".to_owned(), path: "/x".into() },
            Part::Text { name: "lang".to_owned(), text: "@/etc/passwd".to_owned() },
        ];
        assert_eq!(of(json!({"file": "@/x", "lang": "{set.f}"}), Encoding::Multipart), Body::Multipart(parts));
    }
}
