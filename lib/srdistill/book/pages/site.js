// A figure is drawn for a page of print: on the screen a click shows it at its full size.
document.addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll("article img")) {
    if (image.closest("a")) continue;
    const link = document.createElement("a");
    link.href = image.src;
    link.title = "at full size";
    image.replaceWith(link);
    link.append(image);
  }
});
