// Which topics a filter matches (MQTT 5, section 4.7).

/** Whether `filter`, which may have wildcards, matches `topic`. */
export function matches(filter, topic) {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const levels = topic.split('/');
  const wanted = filter.split('/');
  for (const [at, level] of wanted.entries()) {
    if (level === '#') return true;
    if (at >= levels.length || (level !== '+' && level !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}
