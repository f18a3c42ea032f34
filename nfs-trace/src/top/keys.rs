//! What the keys do. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Choice, Sort};

/// Characters of a filter.
const FILTER_AT_MOST: usize = 256;
/// Names that a page key goes by.
const PAGE: usize = 10;

/// What a key asks for beyond the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Only another picture.
    Draw,
    /// The end.
    Quit,
    /// To be stopped, as by SIGTSTP.
    Stop,
}

/// A key was pressed.
pub fn press(choice: &mut Choice, key: KeyEvent) -> Asked {
    if key.kind == KeyEventKind::Release {
        return Asked::Draw;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Asked::Quit,
            KeyCode::Char('z') => Asked::Stop,
            KeyCode::Char('u') if choice.typing => {
                choice.filter.clear();
                Asked::Draw
            }
            _ => Asked::Draw,
        };
    }
    if choice.typing {
        typed(choice, key.code);
        return Asked::Draw;
    }
    if choice.help {
        // Any key leaves the help.
        choice.help = false;
        return match key.code {
            KeyCode::Char('q') => Asked::Quit,
            _ => Asked::Draw,
        };
    }
    match key.code {
        KeyCode::Char('q') => return Asked::Quit,
        KeyCode::Char('r') => sort(choice, Sort::Rate),
        KeyCode::Char('t') => sort(choice, Sort::Total),
        KeyCode::Char('c') => sort(choice, Sort::Cached),
        KeyCode::Char('n') => sort(choice, Sort::Path),
        KeyCode::Char('s') => {
            let at = Sort::ALL.iter().position(|it| *it == choice.sort);
            let next = at.map_or(0, |at| (at + 1) % Sort::ALL.len());
            sort(choice, Sort::ALL[next]);
        }
        KeyCode::Char('/') => choice.typing = true,
        KeyCode::Esc => {
            choice.filter.clear();
            choice.scroll = 0;
        }
        KeyCode::Char('p' | ' ') => choice.paused = !choice.paused,
        KeyCode::Char('?' | 'h') => choice.help = true,
        KeyCode::Down | KeyCode::Char('j') => choice.scroll = choice.scroll.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => choice.scroll = choice.scroll.saturating_sub(1),
        KeyCode::PageDown => choice.scroll = choice.scroll.saturating_add(PAGE),
        KeyCode::PageUp => choice.scroll = choice.scroll.saturating_sub(PAGE),
        KeyCode::Home => choice.scroll = 0,
        _ => {}
    }
    Asked::Draw
}

fn sort(choice: &mut Choice, by: Sort) {
    choice.sort = by;
    choice.scroll = 0;
}

fn typed(choice: &mut Choice, code: KeyCode) {
    match code {
        KeyCode::Enter => choice.typing = false,
        KeyCode::Esc => {
            choice.typing = false;
            choice.filter.clear();
        }
        KeyCode::Backspace => {
            choice.filter.pop();
        }
        KeyCode::Char(it) if !it.is_control() && choice.filter.len() < FILTER_AT_MOST => {
            choice.filter.push(it);
        }
        _ => {}
    }
    choice.scroll = 0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::Model;

    fn pressed(keys: &[KeyCode]) -> (Choice, Asked) {
        let mut choice = Model::new(0).choice;
        let mut asked = Asked::Draw;
        for code in keys {
            asked = press(&mut choice, KeyEvent::from(*code));
        }
        (choice, asked)
    }

    #[test]
    fn a_filter_is_typed_and_q_is_a_letter_of_it() {
        let (choice, asked) = pressed(&"/sq".chars().map(KeyCode::Char).collect::<Vec<_>>());
        assert_eq!(asked, Asked::Draw);
        assert_eq!(choice.filter, "sq");
        assert!(choice.typing);
        let keys = [
            KeyCode::Char('/'),
            KeyCode::Char('a'),
            KeyCode::Backspace,
            KeyCode::Char('b'),
            KeyCode::Enter,
            KeyCode::Char('q'),
        ];
        let (choice, asked) = pressed(&keys);
        assert_eq!((choice.filter.as_str(), asked), ("b", Asked::Quit));
        let (choice, _) = pressed(&[KeyCode::Char('/'), KeyCode::Char('a'), KeyCode::Esc]);
        assert!(choice.filter.is_empty() && !choice.typing);
    }

    #[test]
    fn the_order_is_chosen_by_letter_or_in_turn() {
        for (key, by) in [('r', Sort::Rate), ('t', Sort::Total), ('c', Sort::Cached)] {
            assert_eq!(pressed(&[KeyCode::Char(key)]).0.sort, by);
        }
        let turns = |n| pressed(&vec![KeyCode::Char('s'); n]).0.sort;
        assert_eq!(
            [turns(1), turns(3), turns(4)],
            [Sort::Total, Sort::Path, Sort::Rate]
        );
    }

    #[test]
    fn control_c_ends_and_control_z_stops_also_while_a_filter_is_typed() {
        let mut choice = pressed(&[KeyCode::Char('/')]).0;
        let control = |it| KeyEvent::new(KeyCode::Char(it), KeyModifiers::CONTROL);
        assert_eq!(press(&mut choice, control('z')), Asked::Stop);
        assert_eq!(press(&mut choice, control('c')), Asked::Quit);
        assert!(choice.filter.is_empty());
    }

    #[test]
    fn any_key_leaves_the_help() {
        let (choice, _) = pressed(&[KeyCode::Char('?'), KeyCode::Char('c')]);
        assert!(!choice.help);
        assert_eq!(choice.sort, Sort::Rate);
    }
}
