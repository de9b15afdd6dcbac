//! The alphabet of what is stored: numbers of seven bits a byte, the lowest first, and
//! bytes with their length before them.

/// What is wrong with bytes that should be a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Corrupt(pub(crate) &'static str);

/// Appends values to bytes.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

/// Takes values from the front of bytes.
#[derive(Debug)]
pub(crate) struct Reader<'b>(&'b [u8]);

// === impl Writer ===

impl Writer {
    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn number(&mut self, value: impl Into<u64>) {
        let mut rest = value.into();
        while rest >= 0x80 {
            self.0.push(low_bits(rest) | 0x80);
            rest >>= 7;
        }
        self.0.push(low_bits(rest));
    }

    /// How many of something follow.
    pub(crate) fn count(&mut self, value: usize) {
        self.number(value as u64);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend_from_slice(value);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

fn low_bits(value: u64) -> u8 {
    // Seven bits are left.
    (value & 0x7f) as u8
}

// === impl Reader ===

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt("it is cut short"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("a number in it is too long"))
    }

    /// A number of 32 bits.
    pub(crate) fn small(&mut self) -> Result<u32, Corrupt> {
        self.number()?.try_into().map_err(|_| Corrupt("a number in it is too large"))
    }

    /// How many of something follow, each of at least a byte: so that a wrong one cannot
    /// make anybody reserve more than there is.
    pub(crate) fn count(&mut self) -> Result<usize, Corrupt> {
        let count = self.number()?.try_into().unwrap_or(usize::MAX);
        if count > self.0.len() { Err(Corrupt("it is cut short")) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], Corrupt> {
        let length = self.count()?;
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn text(&mut self) -> Result<&'b str, Corrupt> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Corrupt("a text in it is not UTF-8"))
    }

    /// Sees that nothing is left.
    pub(crate) fn finish(self) -> Result<(), Corrupt> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt("there is more than there should be")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_bytes_come_back(number: u64, bytes: Vec<u8>) {
            let mut writer = Writer::default();
            writer.number(number);
            writer.bytes(&bytes);
            let written = writer.finish();
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.bytes(), Ok(&bytes[..]));
            prop_assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        for last in [2, 0x7f, 0x81] {
            let mut bytes = [0xff; 11];
            bytes[9] = last;
            assert!(Reader::new(&bytes).number().is_err());
        }
        let mut bytes = [0xff; 10];
        bytes[9] = 1;
        assert_eq!(Reader::new(&bytes).number(), Ok(u64::MAX));
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        let mut writer = Writer::default();
        writer.number(u64::MAX);
        assert!(Reader::new(&writer.finish()).bytes().is_err());
    }
}
