// What a portal does with its bell: attributes, properties and events.
const bell = document.getElementById('bell');
const log = document.getElementById('log');
const form = document.querySelector('form');

document.querySelector('.place').textContent = new URL('.', import.meta.url).href;

// In guest mode ?guest-user=jane is Jane's bell.
const user = new URLSearchParams(location.search).get('guest-user');
if (user) bell.setAttribute('guest-user', user);

function write(text) {
  const entry = document.createElement('li');
  entry.textContent = text;
  log.prepend(entry);
  while (log.children.length > 6) log.lastChild.remove();
}

bell.addEventListener('signalbox-unread', ({ detail }) => write(`signalbox-unread: ${detail.unread}`));
bell.addEventListener('signalbox-open', () => write('signalbox-open'));
bell.addEventListener('signalbox-notification', (event) => {
  if (form.elements.links.value === 'kept') event.preventDefault();
  write(`signalbox-notification: ${event.detail.notification.payload.title}, ${event.detail.link ?? 'without a link'}`);
});

form.addEventListener('change', ({ target: { name, value } }) => {
  if (name === 'scheme') document.documentElement.classList.toggle('dark', value === 'dark');
  if (name === 'dir') document.documentElement.dir = value;
  if (name === 'colours') bell.className = value;
  if (name === 'theme' || name === 'locale') bell.setAttribute(name, value);
});
