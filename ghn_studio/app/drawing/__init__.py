"""What is drawn of a project and where: pictures, layouts, places. Values without Qt."""
