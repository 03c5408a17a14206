//! The order in which booked requests begin. Pure.

use std::collections::VecDeque;

/// Whose turn a request waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Before all requests that wait in a [`Turn::Shared`], for what must not lapse.
    First,
    /// Callers with different names take turns, so that a backlog of one does not delay the others.
    Shared(String),
}

impl Default for Turn {
    fn default() -> Self {
        Self::Shared(String::new())
    }
}

/// Booked requests in their order: [`Turn::First`], then one booking of each name in turn.
///
/// # Guarantees
/// Bookings of one name keep their order. Between two bookings of one name, every other name that waits has one.
#[derive(Clone, Debug, Default)]
pub(super) struct TurnQueue {
    first: VecDeque<Waiting>,
    /// The names in the order of their turns, each with at least one booking.
    shared: VecDeque<(String, VecDeque<Waiting>)>,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    booking: u64,
    requests: usize,
}

impl TurnQueue {
    /// Adds a booking behind those of its name. Numbers of bookings must increase.
    pub(super) fn push(&mut self, booking: u64, turn: &Turn, requests: usize) {
        let waiting = Waiting { booking, requests };
        match turn {
            Turn::First => self.first.push_back(waiting),
            Turn::Shared(name) => match self.place(name) {
                Some(place) => self.shared[place].1.push_back(waiting),
                None => self.shared.push_back((name.clone(), [waiting].into())),
            },
        }
    }

    /// How many requests are ahead of the next one of a booking; `None` if it has none left.
    pub(super) fn ahead(&self, booking: u64, turn: &Turn) -> Option<usize> {
        let round = position(self.queue(turn)?, booking)?;
        let requests = |queue: &VecDeque<Waiting>, count: usize| -> usize {
            queue.iter().take(count).map(|waiting| waiting.requests).sum()
        };
        let Turn::Shared(name) = turn else { return Some(requests(&self.first, round)) };
        let own = self.place(name)?;
        let ahead = |(number, (_, queue)): (usize, &(String, VecDeque<Waiting>))| {
            requests(queue, round + usize::from(number < own))
        };
        Some(requests(&self.first, usize::MAX) + self.shared.iter().enumerate().map(ahead).sum::<usize>())
    }

    /// How many requests of a booking are left.
    pub(super) fn left(&self, booking: u64, turn: &Turn) -> usize {
        self.queue(turn).and_then(|queue| Some(queue[position(queue, booking)?].requests)).unwrap_or_default()
    }

    /// Removes one request of a booking. After its last one, the next turn is that of another name.
    pub(super) fn take_one(&mut self, booking: u64, turn: &Turn) {
        let left = self.left(booking, turn).saturating_sub(1);
        self.set(booking, turn, left);
        if let (Turn::Shared(name), 0) = (turn, left)
            && let Some(entry) = self.place(name).and_then(|own| self.shared.remove(own))
        {
            self.shared.push_back(entry);
        }
    }

    /// Removes all requests of a booking.
    pub(super) fn remove(&mut self, booking: u64, turn: &Turn) {
        self.set(booking, turn, 0);
    }

    /// The number of requests.
    pub(super) fn len(&self) -> usize {
        let queues = self.shared.iter().map(|(_, queue)| queue).chain([&self.first]);
        queues.flatten().map(|waiting| waiting.requests).sum()
    }

    fn set(&mut self, booking: u64, turn: &Turn, requests: usize) {
        let Some(queue) = self.queue_mut(turn) else { return };
        let Some(index) = position(queue, booking) else { return };
        if requests > 0 {
            queue[index].requests = requests;
        } else {
            queue.remove(index);
            self.shared.retain(|(_, queue)| !queue.is_empty());
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.shared.iter().position(|(present, _)| present == name)
    }

    fn queue(&self, turn: &Turn) -> Option<&VecDeque<Waiting>> {
        match turn {
            Turn::First => Some(&self.first),
            Turn::Shared(name) => self.place(name).map(|place| &self.shared[place].1),
        }
    }

    fn queue_mut(&mut self, turn: &Turn) -> Option<&mut VecDeque<Waiting>> {
        match turn {
            Turn::First => Some(&mut self.first),
            Turn::Shared(name) => self.place(name).map(|place| &mut self.shared[place].1),
        }
    }
}

fn position(queue: &VecDeque<Waiting>, booking: u64) -> Option<usize> {
    let index = queue.partition_point(|waiting| waiting.booking < booking);
    queue.get(index).filter(|waiting| waiting.booking == booking).map(|_| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(name: &str) -> Turn {
        Turn::Shared(name.to_owned())
    }

    /// Bookings of one request each, numbered from 0; returns the order in which they begin.
    fn order(turns: &[Turn]) -> Vec<usize> {
        let mut queue = TurnQueue::default();
        for (number, turn) in turns.iter().enumerate() {
            queue.push(number as u64, turn, 1);
        }
        let next =
            |queue: &TurnQueue| (0..turns.len()).find(|number| queue.ahead(*number as u64, &turns[*number]) == Some(0));
        std::iter::from_fn(|| next(&queue).inspect(|number| queue.take_one(*number as u64, &turns[*number]))).collect()
    }

    #[test]
    fn names_take_turns() {
        let turns = ["a", "a", "a", "b", "a", "c", "b"].map(shared);
        assert_eq!(order(&turns), [0, 3, 5, 1, 6, 2, 4]);
    }

    #[test]
    fn first_turns_precede_all_others() {
        assert_eq!(order(&[shared("a"), Turn::First, shared("b"), Turn::First]), [1, 3, 0, 2]);
    }

    #[test]
    fn predicted_positions_are_the_order() {
        let turns = ["a", "b", "a", "c", "a", "b", "c", "c"].map(shared);
        let mut queue = TurnQueue::default();
        for (number, turn) in turns.iter().enumerate() {
            queue.push(number as u64, turn, 3);
        }
        let ahead: Vec<_> =
            order(&turns).into_iter().map(|number| queue.ahead(number as u64, &turns[number]).unwrap()).collect();
        assert_eq!(ahead, (0..8).map(|place| place * 3).collect::<Vec<_>>());
    }

    #[test]
    fn begun_bundle_keeps_its_turn() {
        let mut queue = TurnQueue::default();
        queue.push(0, &shared("a"), 3);
        queue.push(1, &shared("b"), 1);
        queue.take_one(0, &shared("a"));
        assert_eq!((queue.ahead(0, &shared("a")), queue.ahead(1, &shared("b"))), (Some(0), Some(2)));
        assert_eq!((queue.left(0, &shared("a")), queue.len()), (2, 3));
    }

    #[test]
    fn removed_booking_is_not_ahead_of_others() {
        let mut queue = TurnQueue::default();
        for number in 0..3 {
            queue.push(number, &shared("a"), 2);
        }
        queue.remove(1, &shared("a"));
        assert_eq!((queue.ahead(2, &shared("a")), queue.ahead(1, &shared("a")), queue.len()), (Some(2), None, 4));
    }
}
