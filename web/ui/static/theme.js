// Runs before anything is painted, so that the chosen theme does not flash.
(() => {
  try {
    const theme = localStorage.getItem('signalbox.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Without storage the system decides.
  }
})();
