//! The frame around the elements: size, style sheet, patterns, background.

use crate::picture::palette::{Theme, colour};

/// What each class looks like; `{role}` is a colour of the palette.
const RULES: &str = "\
text{font-family:'DejaVu Sans','Helvetica Neue',Arial,sans-serif;font-size:12px;fill:{ink}}
.title{font-size:19px;font-weight:700}
.words{font-size:13.5px;fill:{ink}}
.muted{fill:{muted}}
.label{font-size:11px;fill:{muted}}
.figure{font-size:15px;font-weight:700}
.tiny{font-size:9.5px;fill:{muted}}
.page{fill:{page}}
.rule{stroke:{line};fill:none}
.ground{fill:{ground}}
.used{fill:{used}}
.head{fill:{head}}
.waste{fill:url(#hatch-waste)}
.free{fill:{free};stroke:{free-edge}}
.waiting{fill:url(#hatch-waiting);stroke:{waiting-edge}}
.edge{fill:none;stroke:{page};stroke-width:1}
.on-used{fill:{used-ink};font-size:11px}
.on-used-2{fill:{used-ink};font-size:9px;opacity:.8}
.on-free{fill:{free-ink};font-size:11px}
.on-waiting{fill:{waiting-ink};font-size:11px}
.link{fill:none;stroke:{link};stroke-width:1.5}
.leader{fill:none;stroke:{link};stroke-width:1;stroke-dasharray:2 3;opacity:.55}
.branch{fill:none;stroke:{link};stroke-width:1.3;opacity:.8}
.dot{fill:{free-edge}}
.changed{fill:none;stroke:{ink};stroke-width:2}
.area{fill:{used};opacity:.35}
.live{fill:none;stroke:{used};stroke-width:1.5}
.extent{fill:none;stroke:{ink};stroke-width:1.5}
.cursor{stroke:{link};stroke-width:1.5;fill:none}
.arrowhead{fill:{link}}
.waste-back{fill:{waste}}
.waste-line{stroke:{used};stroke-width:1.2}
.waiting-back{fill:{waiting}}
.waiting-line{stroke:{waiting-edge};stroke-width:1.4}
";

const DEFINITIONS: &str = r#"<defs>
<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5.5" markerHeight="5.5" orient="auto-start-reverse"><path class="arrowhead" d="M0 0.5L8 4L0 7.5z"/></marker>
<pattern id="hatch-waste" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="waste-back" width="5" height="5"/><path class="waste-line" d="M0 0V5"/></pattern>
<pattern id="hatch-waiting" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect class="waiting-back" width="6" height="6"/><path class="waiting-line" d="M0 0V6"/></pattern>
</defs>
"#;

/// The whole document.
pub fn document(elements: &str, width: f64, height: f64, theme: Theme) -> String {
    let height = height.ceil();
    let sheet = match theme {
        Theme::Light => rules(false),
        Theme::Dark => rules(true),
        Theme::Auto => {
            format!("{}@media (prefers-color-scheme: dark){{\n{}}}\n", rules(false), rules(true))
        }
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>\n{sheet}</style>\n{DEFINITIONS}\
         <rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>\n{elements}</svg>\n"
    )
}

/// The rules with the colours of one ground.
fn rules(dark: bool) -> String {
    let mut parts = RULES.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // `{role}` is a colour; `{property:…` opens a rule.
        match part.split_once('}') {
            Some((role, rest)) if !role.is_empty() && !role.contains(':') => {
                out.push_str(colour(role, dark));
                out.push_str(rest);
            }
            _ => {
                out.push('{');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::palette::COLOURS;

    #[test]
    fn every_colour_of_the_rules_is_in_the_palette() {
        for dark in [false, true] {
            let made = rules(dark);
            assert_eq!(made.matches('{').count(), made.lines().count(), "{made}");
            assert_eq!(made.matches('{').count(), made.matches('}').count(), "{made}");
            assert!(!made.contains("#000000"), "a role is not in the palette: {made}");
        }
        assert!(COLOURS.iter().all(|entry| entry.light != entry.dark), "each ground has colours of its own");
    }
}
